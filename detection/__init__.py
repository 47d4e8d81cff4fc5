"""What is normal? Features, detector, calibration and explanation: pure maths, no I/O and no clock."""
