/*
 * A synthesised machine. Which fault shows at which multiple of the shaft's speed: ISO 13373-3 annexes; the levels at
 * 100 % are those of a machine that should have been stopped.
 *
 * The sensor's band ends at 184 Hz. Of a bearing's defect only its last stage is to be seen there: knocks at the rate
 * of the balls, and a rough noise.
 */
#include "machine.h"

#include <math.h>

#define TURN 6.2831853f

/* The speed at which the levels below hold; a centrifugal force grows with the speed's square. */
#define NOMINAL_RPM 1500.0f
/* g of a healthy machine: a little imbalance and misalignment are always left, and the sensor has noise of its own. */
#define HEALTHY_1X 0.05f
#define HEALTHY_2X 0.015f
#define HEALTHY_NOISE 0.02f
/* How much the level of a healthy machine comes and goes from second to second. */
#define WANDER 0.04f

/* g at 100 % of a fault. */
#define IMBALANCE_1X 1.0f
#define MISALIGNMENT_1X 0.2f
#define MISALIGNMENT_2X 0.6f
#define LOOSENESS 0.5f
#define BEARING_KNOCK 4.0f
#define BEARING_NOISE 0.12f

/* Looseness: a row of multiples up to this one, each weaker than the one before. */
#define LOOSENESS_HARMONICS 5
/* Balls over a fixed point of the outer ring per turn of the shaft, in a 6205 bearing (9 balls, 7.94 of 39.04 mm). */
#define BALLS_PER_TURN 3.585
/* What a knock makes ring: a housing at 160 Hz, gone in a few ms. */
#define RING_HZ 160.0f
#define RING_S 0.003f

/* The samples of a second, for what changes from second to second. */
#define SECOND 1000u

/* A number from -1 to 1 that looks drawn by chance and is the same in every run (the finaliser of MurmurHash3). */
static float chance(uint32_t which, uint32_t channel)
{
    uint32_t h = which * 4u + channel;
    h ^= h >> 16;
    h *= 0x85ebca6bu;
    h ^= h >> 13;
    h *= 0xc2b2ae35u;
    h ^= h >> 16;
    return (float)h / 2147483648.0f - 1.0f;
}

/* The sum of three such numbers has a standard deviation of 1, and nearly the shape of a bell. */
static float noise(uint32_t sample, uint32_t axis)
{
    return chance(3 * sample, axis) + chance(3 * sample + 1, axis) + chance(3 * sample + 2, axis);
}

/* The level, without a jump between one second and the next; channel 3 is nobody's axis. */
static float level(uint32_t sample)
{
    const uint32_t second = sample / SECOND;
    const float within = (float)(sample % SECOND) / SECOND;
    return 1 + WANDER * ((1 - within) * chance(second, AXES) + within * chance(second + 1, AXES));
}

static float wave(double turns, float phase)
{
    return sinf(TURN * (float)(turns - floor(turns)) + phase);
}

/* The ringing since the last ball came by; less its mean over time, for a housing does not fly away. */
static float knock(double balls, float rpm)
{
    const float hz = (float)BALLS_PER_TURN * rpm / 60;
    const float since = (float)(balls - floor(balls)) / hz;
    const float ring = TURN * RING_HZ * RING_S;
    const float mean = ring * RING_S / (1 + ring * ring) * hz;
    return expf(-since / RING_S) * sinf(TURN * RING_HZ * since) - mean;
}

static float rattle(double shaft)
{
    float sum = 0;
    for (int n = 1; n <= LOOSENESS_HARMONICS; n++)
        sum += wave(n * shaft, (float)n) / (float)n;
    return sum;
}

void machine_turn(machine_t *machine, const condition_t *condition, double seconds, uint32_t count)
{
    const double turns = condition->rpm / 60.0 * seconds * count;
    machine->shaft = fmod(machine->shaft + turns, 1.0);
    machine->balls = fmod(machine->balls + BALLS_PER_TURN * turns, 1.0);
    machine->sample += count;
}

void machine_feel(const machine_t *machine, const condition_t *condition, float g[AXES])
{
    const float speed = condition->rpm / NOMINAL_RPM;
    const float push = speed * speed * level(machine->sample);
    const float misaligned = condition->misalignment / 100;
    const float once = push * (HEALTHY_1X + IMBALANCE_1X * condition->imbalance / 100 + MISALIGNMENT_1X * misaligned);
    const float twice = push * (HEALTHY_2X + MISALIGNMENT_2X * misaligned);
    const float loose = push * LOOSENESS * condition->looseness / 100;
    const float worn = condition->bearing / 100;
    const float hiss = HEALTHY_NOISE + BEARING_NOISE * worn;
    const float hit = BEARING_KNOCK * worn * knock(machine->balls, condition->rpm);

    /* Across the shaft the load goes round, so Y is a quarter of a turn behind X; a misaligned shaft pushes upwards. */
    const float quarter = TURN / 4;
    const float rattling = loose > 0 ? loose * rattle(machine->shaft) : 0;
    g[X] = once * wave(machine->shaft, 0) + twice * wave(2 * machine->shaft, 1) + rattling + hit;
    g[Y] = once * wave(machine->shaft, -quarter) + rattling / 2 + hit / 2;
    g[Z] = 1 + once / 10 * wave(machine->shaft, 0) + twice * wave(2 * machine->shaft, 0);
    for (uint32_t axis = 0; axis < AXES; axis++)
        g[axis] += hiss * noise(machine->sample, axis);
}
