"""Power-up: mount the flash, put the owner's files there, and run main.py as the chip does."""

import os

import flash

flash.mount(os.getenv("FLASH"))
for name in os.listdir(os.getenv("OWNER")):
    with open(os.getenv("OWNER") + "/" + name) as file, open(name, "w") as there:
        there.write(file.read())
__import__("main")
