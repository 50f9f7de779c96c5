# Prism: an extension of two shared libraries.
#   prism.so           functions, hooks and worker loops; links no client library
#   prism_backends.so  the operations of src/backend (librdkafka ...), loaded by workers only
# PGXS builds one MODULE_big a makefile, so the second has its own and this one recurses into it.

EXTENSION = prism
EXTVERSION = 0.2.0
MODULE_big = prism
OBJS = $(patsubst %.c,%.o,$(filter-out $(BACKEND_SOURCES),$(wildcard src/*.c src/*/*.c)))
# What of src/backend belongs to the other library (src/backend/Makefile says the same).
BACKEND_SOURCES = $(addprefix src/backend/,$(shell cat src/backend/SOURCES))
SQL_PARTS = $(sort $(wildcard sql/install/*.sql))
DATA_built = prism--$(EXTVERSION).sql
DATA = $(wildcard sql/updates/prism--*.sql)
EXTRA_CLEAN = prism--$(EXTVERSION).sql

# make installcheck: on a running server with the library preloaded. ./dev test makes its own server.
REGRESS = $(sort $(patsubst sql/%.sql,%,$(wildcard sql/*.sql)))
REGRESS_OPTS = --load-extension=prism
ISOLATION = $(sort $(patsubst test/isolation/specs/%.spec,%,$(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --inputdir=$(srcdir)/test/isolation --load-extension=prism

PG_CPPFLAGS = -I$(srcdir)/src
PG_CFLAGS = -Wall -Wextra -Werror -Wno-unused-parameter $(PRISM_CFLAGS)
SHLIB_LINK = -lyaml

PG_CONFIG ?= pg_config
PGXS := $(shell $(PG_CONFIG) --pgxs)
override with_llvm = no
include $(PGXS)

# Every object sees every header of ours: the tree is small, a wrong dependency costs more than a rebuild.
$(OBJS): $(wildcard src/*.h src/*/*.h)

prism--$(EXTVERSION).sql: $(SQL_PARTS)
	cat $^ > $@

.PHONY: backends backends-install backends-clean
all: backends
install: backends-install
clean: backends-clean
backends:
	$(MAKE) -C src/backend all PG_CONFIG='$(PG_CONFIG)' PRISM_CFLAGS='$(PRISM_CFLAGS)'
backends-install: backends
	$(MAKE) -C src/backend install PG_CONFIG='$(PG_CONFIG)' DESTDIR='$(DESTDIR)'
backends-clean:
	$(MAKE) -C src/backend clean PG_CONFIG='$(PG_CONFIG)'
