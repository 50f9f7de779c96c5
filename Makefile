# Prism: an extension of several shared libraries.
#   prism.so       functions, hooks and worker loops; links no client library
#   prism_NAME.so  the operations of a back end, src/backend/NAME, with its client library; loaded by workers only
# PGXS builds one MODULE_big a makefile, so each back end has its own and this one recurses into them.
# Built in another folder as well: make -f <here>/Makefile.

TOP := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))
# The names of files that a pattern finds here, as seen from here.
files = $(patsubst $(TOP)/%,%,$(wildcard $(addprefix $(TOP)/,$(1))))

EXTENSION = prism
EXTVERSION = 0.3.0
MODULE_big = prism
# Of src/backend: what a session knows of back ends, and endpoint_rule.c, which all have.
OBJS = $(patsubst %.c,%.o,$(filter-out $(BACKEND_ONLY),$(call files,src/*.c src/*/*.c src/*/*/*.c)))
BACKEND_ONLY = src/backend/handle.c src/backend/text.c \
	$(filter-out %_info.c %_options.c,$(call files,src/backend/*/*.c))
BACK_ENDS = $(patsubst src/backend/%/Makefile,%,$(call files,src/backend/*/Makefile))
SQL_PARTS = $(sort $(wildcard $(TOP)/sql/install/*.sql))
DATA_built = prism--$(EXTVERSION).sql
DATA = $(call files,sql/updates/prism--*.sql)
EXTRA_CLEAN = prism--$(EXTVERSION).sql

# make installcheck: on a running server with the library preloaded. ./dev test makes its own server.
REGRESS = $(sort $(patsubst sql/%.sql,%,$(call files,sql/*.sql)))
REGRESS_OPTS = --load-extension=prism
ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(call files,test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(TOP)/test/isolation --load-extension=prism

PG_CPPFLAGS = -I$(TOP)/src
PG_CFLAGS = -Wall -Wextra -Wno-unused-parameter $(PRISM_CFLAGS)
SHLIB_LINK = -lyaml

PG_CONFIG ?= pg_config
# Compression of payloads is by the libraries that the server links itself, where their headers are there as well: others
# could bring names that it has of its own.
server_links = $(shell printf '\043include "pg_config.h"\n\043ifndef $(1)\n\043error\n\043endif\n\043include <$(2)>\n' | \
	$(or $(CC),cc) -E -I"$$($(PG_CONFIG) --includedir-server)" -x c - >/dev/null 2>&1 && echo yes)
ifeq ($(call server_links,HAVE_LIBZ,zlib.h),yes)
PG_CPPFLAGS += -DPRISM_WITH_ZLIB
SHLIB_LINK += -lz
endif
ifeq ($(call server_links,USE_ZSTD,zstd.h),yes)
PG_CPPFLAGS += -DPRISM_WITH_ZSTD
SHLIB_LINK += -lzstd
endif
ifeq ($(call server_links,USE_LZ4,lz4frame.h),yes)
PG_CPPFLAGS += -DPRISM_WITH_LZ4
SHLIB_LINK += -llz4
endif
PGXS := $(shell $(PG_CONFIG) --pgxs)
override with_llvm = no
include $(PGXS)

# Every object sees every header of ours: the tree is small, a wrong dependency costs more than a rebuild.
$(OBJS): $(wildcard $(TOP)/src/*/*.h $(TOP)/src/*/*/*.h) | folders
.PHONY: folders
folders:
	@mkdir -p $(sort $(dir $(OBJS)))

prism--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $^ > $@

# The library of each back end, in its folder of wherever we build: backend-all-kafka ...
BACKEND_GOALS = $(foreach goal,all install uninstall clean,$(addprefix backend-$(goal)-,$(BACK_ENDS)))
.PHONY: $(BACKEND_GOALS)
all: $(addprefix backend-all-,$(BACK_ENDS))
install: $(addprefix backend-install-,$(BACK_ENDS))
uninstall: $(addprefix backend-uninstall-,$(BACK_ENDS))
clean: $(addprefix backend-clean-,$(BACK_ENDS))
$(addprefix backend-install-,$(BACK_ENDS)): backend-install-%: backend-all-%
$(BACKEND_GOALS): goal = $(word 2,$(subst -, ,$@))
$(BACKEND_GOALS): folder = src/backend/$(word 3,$(subst -, ,$@))
$(BACKEND_GOALS):
	+mkdir -p $(folder) && $(MAKE) -C $(folder) -f $(abspath $(TOP))/$(folder)/Makefile $(goal) PG_CONFIG='$(PG_CONFIG)' PRISM_CFLAGS='$(PRISM_CFLAGS)' DESTDIR='$(DESTDIR)'
