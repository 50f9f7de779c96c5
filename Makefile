# Prism: an extension of two shared libraries.
#   prism.so           functions, hooks and worker loops; links no client library
#   prism_backends.so  the operations of src/backend (librdkafka ...), loaded by workers only
# PGXS builds one MODULE_big a makefile, so the second has its own and this one recurses into it.
# Built in another folder as well: make -f <here>/Makefile.

TOP := $(or $(VPATH),$(patsubst %/,%,$(dir $(firstword $(MAKEFILE_LIST)))))
# The names of files that a pattern finds here, as seen from here.
files = $(patsubst $(TOP)/%,%,$(wildcard $(addprefix $(TOP)/,$(1))))

EXTENSION = prism
EXTVERSION = 0.3.0
MODULE_big = prism
OBJS = $(patsubst %.c,%.o,$(filter-out $(BACKEND_SOURCES),$(call files,src/*.c src/*/*.c src/*/*/*.c)))
# What of src/backend belongs to the other library (src/backend/Makefile says the same).
BACKEND_SOURCES = $(addprefix src/backend/,$(shell cat $(TOP)/src/backend/SOURCES))
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

# The other library, in its folder of wherever we build.
BACKENDS = mkdir -p src/backend && $(MAKE) -C src/backend -f $(abspath $(TOP))/src/backend/Makefile PG_CONFIG='$(PG_CONFIG)' PRISM_CFLAGS='$(PRISM_CFLAGS)' DESTDIR='$(DESTDIR)'
.PHONY: backends backends-install backends-uninstall backends-clean
all: backends
install: backends-install
uninstall: backends-uninstall
clean: backends-clean
backends:
	+$(BACKENDS) all
backends-install: backends
	+$(BACKENDS) install
backends-uninstall:
	+$(BACKENDS) uninstall
backends-clean:
	+$(BACKENDS) clean
