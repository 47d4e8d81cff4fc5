/*
 * An MPU6050 on a vibrating machine, as a custom chip for Wokwi: the part that Wokwi has stands still.
 *
 * It answers as the registers that the firmware's driver uses do: identity, reset, sleep, sample rate, range, the FIFO
 * with its count and its overflow, and the newest acceleration. Numbers and bits: InvenSense, MPU-6000/6050 Register
 * Map, RM-MPU-6000A-00 revision 4.2. It has no gyroscope, no interrupt line (INT stays low) and one bandwidth.
 *
 * Samples are made when the bus asks, as many as simulated time says are due: a thousand calls a second from the
 * simulator would slow it down for nothing.
 */
#include "chip_api.h"
#include "machine.h"

#include <stdlib.h>
#include <string.h>

enum {
    SMPLRT_DIV = 0x19,
    ACCEL_CONFIG = 0x1C,
    FIFO_EN = 0x23,
    INT_STATUS = 0x3A,
    ACCEL_XOUT_H = 0x3B,
    USER_CTRL = 0x6A,
    PWR_MGMT_1 = 0x6B,
    FIFO_COUNT_H = 0x72,
    FIFO_COUNT_L = 0x73,
    FIFO_R_W = 0x74,
    WHO_AM_I = 0x75,
    REGISTERS = 128,
};

enum {
    ACCEL_INTO_FIFO = 0x08,
    FIFO_OVERFLOW = 0x10,
    FIFO_RESET = 0x04,
    FIFO_ENABLED = 0x40,
    DEVICE_RESET = 0x80,
    ASLEEP = 0x40,
};

/* With AD0 low; the lowest bit is AD0. */
#define ADDRESS 0x68u
#define FIFO_BYTES 1024u
#define SAMPLE_BYTES (2 * AXES)
/* Counts per g at +-2 g; each wider range halves them. */
#define LSB_PER_G 16384.0f
/* 1 kHz before the divider. */
#define BASE_NANOS 1e6

typedef struct {
    uint8_t bytes[FIFO_BYTES];
    uint32_t first;
    uint32_t size;
    uint8_t last_read;
} fifo_t;

typedef struct {
    pin_t ad0;
    uint32_t rpm, imbalance, misalignment, looseness, bearing;
    machine_t machine;
    double next_nanos;
    fifo_t fifo;
    uint8_t registers[REGISTERS];
    uint8_t at;
    bool pointed;
} chip_t;

/* Full, it loses its oldest byte; returns whether it did. */
static bool fifo_put(fifo_t *fifo, uint8_t value)
{
    const bool full = fifo->size == FIFO_BYTES;
    fifo->bytes[(fifo->first + fifo->size) % FIFO_BYTES] = value;
    if (full)
        fifo->first = (fifo->first + 1) % FIFO_BYTES;
    else
        fifo->size++;
    return full;
}

/* Empty, it repeats what was read last. */
static uint8_t fifo_take(fifo_t *fifo)
{
    if (fifo->size > 0) {
        fifo->last_read = fifo->bytes[fifo->first];
        fifo->first = (fifo->first + 1) % FIFO_BYTES;
        fifo->size--;
    }
    return fifo->last_read;
}

static void device_reset(chip_t *chip)
{
    memset(chip->registers, 0, sizeof chip->registers);
    chip->registers[PWR_MGMT_1] = ASLEEP;
    chip->registers[WHO_AM_I] = ADDRESS;
    chip->fifo.size = 0;
}

static condition_t condition_of(const chip_t *chip)
{
    return (condition_t){
        .rpm = attr_read_float(chip->rpm),
        .imbalance = attr_read_float(chip->imbalance),
        .misalignment = attr_read_float(chip->misalignment),
        .looseness = attr_read_float(chip->looseness),
        .bearing = attr_read_float(chip->bearing),
    };
}

/* As the converter gives it: rounded, and no further than it reaches. */
static int16_t counts(float g, uint8_t accel_config)
{
    const float value = g * LSB_PER_G / (float)(1 << (accel_config >> 3 & 3));
    if (value >= INT16_MAX)
        return INT16_MAX;
    if (value <= INT16_MIN)
        return INT16_MIN;
    return (int16_t)(value + (value < 0 ? -0.5f : 0.5f));
}

static void make_sample(chip_t *chip, const condition_t *condition)
{
    uint8_t *const registers = chip->registers;
    uint8_t *const newest = registers + ACCEL_XOUT_H;
    float g[AXES];
    machine_feel(&chip->machine, condition, g);
    for (int axis = 0; axis < AXES; axis++) {
        const uint16_t value = (uint16_t)counts(g[axis], registers[ACCEL_CONFIG]);
        newest[2 * axis] = (uint8_t)(value >> 8);
        newest[2 * axis + 1] = (uint8_t)value;
    }
    if (registers[USER_CTRL] & FIFO_ENABLED && registers[FIFO_EN] & ACCEL_INTO_FIFO)
        for (int byte = 0; byte < SAMPLE_BYTES; byte++)
            if (fifo_put(&chip->fifo, newest[byte]))
                registers[INT_STATUS] |= FIFO_OVERFLOW;
}

/* Everything up to now. After a long silence only what the FIFO can still hold is made, and the rest turned past. */
static void catch_up(chip_t *chip)
{
    const double now = sim_nanos();
    const double period = BASE_NANOS * (1 + chip->registers[SMPLRT_DIV]);
    const condition_t condition = condition_of(chip);
    uint32_t due = now < chip->next_nanos ? 0 : (uint32_t)((now - chip->next_nanos) / period) + 1;
    const uint32_t holds = FIFO_BYTES / SAMPLE_BYTES + 2;
    chip->next_nanos += due * period;
    if (due > holds) {
        machine_turn(&chip->machine, &condition, period / 1e9, due - holds);
        due = holds;
    }
    for (; due > 0; due--) {
        machine_turn(&chip->machine, &condition, period / 1e9, 1);
        if (!(chip->registers[PWR_MGMT_1] & ASLEEP))
            make_sample(chip, &condition);
    }
}

static uint8_t read_register(chip_t *chip)
{
    const uint8_t at = chip->at;
    if (at == FIFO_R_W)
        return fifo_take(&chip->fifo);
    chip->at = (at + 1) % REGISTERS;
    if (at == FIFO_COUNT_H)
        return (uint8_t)(chip->fifo.size >> 8);
    if (at == FIFO_COUNT_L)
        return (uint8_t)chip->fifo.size;
    const uint8_t value = chip->registers[at];
    if (at == INT_STATUS)
        chip->registers[INT_STATUS] = 0;
    return value;
}

static void write_register(chip_t *chip, uint8_t value)
{
    const uint8_t at = chip->at;
    chip->at = (at + 1) % REGISTERS;
    switch (at) {
    case PWR_MGMT_1:
        if (value & DEVICE_RESET)
            device_reset(chip);
        else
            chip->registers[PWR_MGMT_1] = value;
        break;
    case USER_CTRL:
        if (value & FIFO_RESET)
            chip->fifo.size = 0;
        chip->registers[USER_CTRL] = value & ~FIFO_RESET;
        break;
    case SMPLRT_DIV:
    case ACCEL_CONFIG:
    case FIFO_EN:
        chip->registers[at] = value;
        break;
    default: /* Read-only, or of no effect here. */
        break;
    }
}

static bool on_connect(void *user_data, uint32_t address, bool read)
{
    chip_t *const chip = user_data;
    if (address != (ADDRESS | pin_read(chip->ad0)))
        return false;
    catch_up(chip);
    if (!read)
        chip->pointed = false;
    return true;
}

/* The first byte of a write says which register the rest, or the read that follows, is about. */
static bool on_write(void *user_data, uint8_t data)
{
    chip_t *const chip = user_data;
    if (chip->pointed) {
        write_register(chip, data);
    } else {
        chip->at = data % REGISTERS;
        chip->pointed = true;
    }
    return true;
}

static uint8_t on_read(void *user_data)
{
    return read_register(user_data);
}

void chip_init(void)
{
    chip_t *const chip = calloc(1, sizeof *chip);
    chip->ad0 = pin_init("AD0", PIN_INPUT_PULLDOWN);
    pin_init("INT", PIN_OUTPUT_LOW);
    chip->rpm = attr_init_float("rpm", 1500);
    chip->imbalance = attr_init_float("imbalance", 0);
    chip->misalignment = attr_init_float("misalignment", 0);
    chip->looseness = attr_init_float("looseness", 0);
    chip->bearing = attr_init_float("bearing", 0);
    chip->next_nanos = BASE_NANOS;
    device_reset(chip);
    i2c_init(&(i2c_config_t){
        .user_data = chip,
        .scl = pin_init("SCL", PIN_INPUT),
        .sda = pin_init("SDA", PIN_INPUT),
        .connect = on_connect,
        .read = on_read,
        .write = on_write,
    });
}
