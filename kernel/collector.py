"""Imported before everything else by a server: what its modules make while they load stays for good.

The collector would walk it again and again meanwhile, which takes up to a quarter of the time until a process is
ready. It is for the importer to let it run again, with `gc.enable()`, once everything is loaded.
"""

import gc

gc.disable()
