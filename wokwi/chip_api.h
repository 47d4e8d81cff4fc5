/*
 * What a custom chip may ask of Wokwi, as far as ours does: https://docs.wokwi.com/chips-api/getting-started
 *
 * The names in quotes are those of the WebAssembly module "env"; the layouts are the simulator's, the spare words at
 * the end of a structure included. All `…_init` functions may be called from chip_init() alone.
 */
#ifndef RONDA_CHIP_API_H
#define RONDA_CHIP_API_H

#include <stdbool.h>
#include <stdint.h>

#define FROM_WOKWI(name) __attribute__((import_module("env"), import_name(name)))
#define TO_WOKWI(name) __attribute__((export_name(name)))

typedef int32_t pin_t;

enum { PIN_INPUT = 0, PIN_INPUT_PULLDOWN = 3, PIN_OUTPUT_LOW = 16 };

FROM_WOKWI("pinInit") pin_t pin_init(const char *name, uint32_t mode);
FROM_WOKWI("pinRead") uint32_t pin_read(pin_t pin);

/* A number that a slider of the chip's .json sets while the simulation runs. */
FROM_WOKWI("attrInitFloat") uint32_t attr_init_float(const char *name, float initially);
FROM_WOKWI("attrReadFloat") float attr_read_float(uint32_t attribute);

/* Simulated time since power-up; a double holds whole nanoseconds for 104 days. */
FROM_WOKWI("getSimNanos") double sim_nanos(void);

/* `address` 0 means that `connect` decides; it and `write` return whether they acknowledge. */
typedef struct {
    void *user_data;
    uint32_t address;
    pin_t scl;
    pin_t sda;
    bool (*connect)(void *user_data, uint32_t address, bool read);
    uint8_t (*read)(void *user_data);
    bool (*write)(void *user_data, uint8_t data);
    void (*disconnect)(void *user_data);
    uint32_t reserved[8];
} i2c_config_t;

FROM_WOKWI("i2cInit") uint32_t i2c_init(const i2c_config_t *config);

/* Called once for each chip of the diagram. */
TO_WOKWI("chipInit") void chip_init(void);

/* By this Wokwi knows which of its interfaces the chip was written for. */
TO_WOKWI("__wokwi_api_version_1") __attribute__((weak)) int __wokwi_api_version_1(void)
{
    return 1;
}

#endif
