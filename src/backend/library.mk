# The library of one back end, prism_NAME.so: read by the makefile of its folder, which says
#   BACK_END          its name, and that of the folder
#   CLIENT_LIBRARIES  what it alone links
#   HERE              where the folder is: it may be built in another one
# What a session knows of the back end (NAME_info.c, NAME_options.c) is in prism.so.

# Of every library; what prism.so has of them as well is there by itself.
SHARED = endpoint_rule.o handle.o text.o

MODULE_big = prism_$(BACK_END)
OBJS = $(filter-out $(BACK_END)_info.o $(BACK_END)_options.o,$(patsubst $(HERE)/%.c,%.o,$(wildcard $(HERE)/*.c))) $(SHARED)
PG_CPPFLAGS = -I$(HERE)/../..
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter $(PRISM_CFLAGS)
SHLIB_LINK = $(CLIENT_LIBRARIES) -Wl,--version-script=$(HERE)/../exports.map

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
override with_llvm = no
include $(PGXS)

$(SHARED): %.o: $(HERE)/../%.c
	$(CC) $(CFLAGS) $(CPPFLAGS) -c -o $@ $<

$(OBJS): $(wildcard $(HERE)/*.h $(HERE)/../*.h $(HERE)/../../base/*.h)
