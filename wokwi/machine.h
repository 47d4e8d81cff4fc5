/* The machine that the simulated sensor is screwed to: how its bearing housing moves, sample by sample. */
#ifndef RONDA_MACHINE_H
#define RONDA_MACHINE_H

#include <stdint.h>

enum { X, Y, Z, AXES };

/* What the sliders say: revolutions a minute, and how far each fault has gone, 0 to 100 %. */
typedef struct {
    float rpm;
    float imbalance;
    float misalignment;
    float looseness;
    float bearing;
} condition_t;

/* Where the shaft and the balls are, in turns; the samples so far. */
typedef struct {
    double shaft;
    double balls;
    uint32_t sample;
} machine_t;

/* Go on by `count` samples of `seconds` each without looking. */
void machine_turn(machine_t *machine, const condition_t *condition, double seconds, uint32_t count);

/* The acceleration of each axis now, in g, gravity included; Z points up, X and Y lie across the shaft. */
void machine_feel(const machine_t *machine, const condition_t *condition, float g[AXES]);

#endif
