// Stands in for Wokwi: lends the chip its pins, sliders, clock and bus, and takes commands from standard input.
// host.mjs CHIP.wasm CHIP.json; a line is a list of commands, its answer a line with a list of results.
// What Wokwi would not allow (an unknown pin or slider, an init after power-up) ends it with an error.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

const [binary, definition] = process.argv.slice(2);
const { pins, controls } = JSON.parse(readFileSync(definition, "utf8"));
const memory = new WebAssembly.Memory({ initial: 4 });
const names = [];
const levels = new Map();
const sliders = new Map();
let now = 0;
let bus = null;
let powered = false;

const text = (at) => {
  const bytes = new Uint8Array(memory.buffer);
  return Buffer.from(bytes.subarray(at, bytes.indexOf(0, at))).toString();
};
const handle = (name, known, what) => {
  if (powered) throw new Error(`${what} ${name} is asked for after power-up`);
  if (!known.includes(name)) throw new Error(`there is no ${what} ${name} in ${definition}`);
  return names.push(name) - 1;
};

const env = {
  memory,
  pinInit: (name, mode) => handle(text(name), pins, "pin"),
  pinRead: (pin) => levels.get(names[pin]) ?? 0,
  attrInitFloat: (name, initially) => {
    const attribute = handle(text(name), controls.map((control) => control.id), "control");
    sliders.set(names[attribute], initially);
    return attribute;
  },
  attrReadFloat: (attribute) => sliders.get(names[attribute]),
  getSimNanos: () => now,
  i2cInit: (config) => {
    // user_data, address, scl, sda, connect, read, write, disconnect: words of 32 bits.
    const words = [...new Int32Array(memory.buffer, config, 8)];
    if (names[words[2]] !== "SCL" || names[words[3]] !== "SDA") throw new Error("the bus hangs on other pins");
    bus = { user: words[0], address: words[1], connect: words[4], read: words[5], write: words[6], end: words[7] };
    return 0;
  },
};

const { instance } = await WebAssembly.instantiate(readFileSync(binary), { env });
if (instance.exports.__wokwi_api_version_1() !== 1) throw new Error("another version of Wokwi's interface");
instance.exports.chipInit();
powered = true;

const call = (callback, ...given) => instance.exports.__indirect_function_table.get(callback)(bus.user, ...given);
const connected = (address, reading) =>
  (bus.address === 0 || bus.address === address) && call(bus.connect, address, reading) !== 0;
const end = () => bus.end && call(bus.end);
const put = (address, bytes) => connected(address, 0) && bytes.every((byte) => call(bus.write, byte) !== 0);

// As MicroPython does it: the register is written, then, without a stop between, the bytes are read.
const commands = {
  pass: (ms) => void (now += ms * 1e6),
  slide: (name, value) => void sliders.set(name, value),
  level: (name, value) => void levels.set(name, value),
  controls: () => Object.fromEntries(sliders),
  write: (address, bytes) => {
    const acknowledged = put(address, bytes);
    end();
    return acknowledged;
  },
  read: (address, register, size) => {
    if (!put(address, [register]) || !connected(address, 1)) return null;
    const bytes = Buffer.from(Array.from({ length: size }, () => call(bus.read)));
    end();
    return bytes.toString("hex");
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const results = JSON.parse(line).map(([name, ...given]) => commands[name](...given) ?? null);
  process.stdout.write(`${JSON.stringify(results)}\n`);
}
