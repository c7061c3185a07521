# Byway. `make help` lists what can be made; everything lands in build/.
#
# A room is a directory. It is compiled with -I for the rooms it may use and no other, so that a
# forbidden include does not build (base <- net <- ha, base <- obs; programs: lib and themselves).

B ?= build
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif

PACKAGES := libnl-3.0 libnl-route-3.0 libnl-genl-3.0 libnftables jansson libevent
CFLAGS   ?= -O2 -g
WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	    -Wold-style-definition -Wpointer-arith -Wundef -Wvla -Wwrite-strings \
	    -Wno-unused-parameter -Wno-missing-field-initializers
ALL_CFLAGS = -std=gnu17 -D_GNU_SOURCE -fPIE -fstack-protector-strong -D_FORTIFY_SOURCE=2 \
	     -fno-common $(WARNINGS) $(SYSTEM_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(LDFLAGS)

# pkg-config runs only when something is compiled: `make help` works on a machine without it.
SYSTEM_CFLAGS = $(eval SYSTEM_CFLAGS := $(shell pkg-config --cflags $(PACKAGES)))$(SYSTEM_CFLAGS)
LIBS = $(eval LIBS := $(shell pkg-config --libs $(PACKAGES) libnetfilter_conntrack libcurl))$(LIBS)
STATIC_LIBS := -lnl-route-3 -lnl-genl-3 -lnl-3 -ljansson -lpthread -lm

# V=1 shows whole commands.
Q := $(if $(V),,@)

# --- rooms and what each may include -------------------------------------------------------------

MAY_lib/base   := lib/base
MAY_lib/net    := lib/base lib/net
MAY_lib/ha     := lib/base lib/net lib/ha
MAY_lib/obs    := lib/base lib/obs
PROGRAM_MAY    := lib/base lib/net lib/ha lib/obs
MAY_node-agent := $(PROGRAM_MAY) node-agent
MAY_router     := $(PROGRAM_MAY) router
MAY_gateway    := $(PROGRAM_MAY) gateway
MAY_cni-plugin := lib/base lib/net cni-plugin
MAY_bywayctl   := lib/base bywayctl

LIB_ROOMS := lib/ha lib/obs lib/net lib/base
LAB_TOOLS := $(patsubst %.c,$(B)/tests/%,$(notdir $(wildcard tests/lab/*.c tests/bench/*.c)))
PROGRAMS  := $(B)/byway $(B)/byway-node $(B)/byway-router $(B)/byway-gateway $(B)/bywayctl

objects = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(1)/*.c))
archive = $(B)/$(subst /,-,$(1)).a
LIB_ARCHIVES := $(foreach room,$(LIB_ROOMS),$(call archive,$(room)))

.PHONY: all
all: $(PROGRAMS) $(LAB_TOOLS) $(B)/tests/lease_ensure $(B)/tests/ipvs_tool

# One rule a room: its objects see only the rooms they may use.
define room_rules
$(B)/obj/$(1)/%.o: $(1)/%.c
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $(addprefix -I,$(MAY_$(1))) -MMD -MP -c -o $$@ $$<
endef
$(foreach room,lib/base lib/net lib/ha lib/obs node-agent router gateway cni-plugin bywayctl,\
	$(eval $(call room_rules,$(room))))

define archive_rules
$(call archive,$(1)): $(call objects,$(1))
	@mkdir -p $$(@D); rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach room,$(LIB_ROOMS),$(eval $(call archive_rules,$(room))))

# A program's room without its main.c, for the unit tests.
define program_rules
$(call archive,$(1)): $(filter-out %/main.o,$(call objects,$(1)))
	@mkdir -p $$(@D); rm -f $$@
	$$(Q)ar rcs $$@ $$^
$(B)/$(2): $(B)/obj/$(1)/main.o $(call archive,$(1)) $(LIB_ARCHIVES)
	@echo "link $$@"
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(LIBS)
endef
$(eval $(call program_rules,node-agent,byway-node))
$(eval $(call program_rules,router,byway-router))
$(eval $(call program_rules,gateway,byway-gateway))
$(eval $(call program_rules,bywayctl,bywayctl))

# The CNI plugin is static: hosts may run any libc, and Multus executes it in a chroot. The linker warns
# of getprotobyname() in a part of libnl that is never called.
$(call archive,cni-plugin): $(filter-out %/main.o,$(call objects,cni-plugin))
	@mkdir -p $(@D); rm -f $@
	$(Q)ar rcs $@ $^
$(B)/byway: $(B)/obj/cni-plugin/main.o $(call archive,cni-plugin) $(call archive,lib/net) $(call archive,lib/base)
	@echo "link $@"
	$(Q)$(CC) -static $(LDFLAGS) -Wl,--no-warnings -Wl,--gc-sections -o $@ $^ $(STATIC_LIBS)

# What the lab runs inside pods and on its internet, and the bench's stopwatch: static, they are executed
# in any root and cost little to start.
LAB_TOOL = $(CC) -std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -static -o $@ $<
$(B)/tests/%: tests/lab/%.c
	@mkdir -p $(@D)
	$(Q)$(LAB_TOOL)
$(B)/tests/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(Q)$(LAB_TOOL)

# Lease tables for the CNI plugin's tests, made without a node agent.
$(B)/tests/lease_ensure: tests/cni/lease_ensure.c $(call archive,lib/net) $(call archive,lib/base)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ilib/base -Ilib/net -MMD -MP -o $@ $(filter %.c %.a,$^) $(LIBS)

# lib/net's IPVS, a command at a time.
$(B)/tests/ipvs_tool: tests/ipvs/ipvs_tool.c $(call archive,lib/net) $(call archive,lib/base)
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -Ilib/base -Ilib/net -MMD -MP -o $@ $(filter %.c %.a,$^) $(LIBS)

# --- checks ---------------------------------------------------------------------------------------

# tests/unit/test_X.c is a cmocka program; with ASan and UBSan in a tree of its own.
UNITS := $(patsubst tests/unit/%.c,%,$(wildcard tests/unit/test_*.c))
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
TEST_ROOMS := node-agent router gateway cni-plugin
UNIT_MAY := $(PROGRAM_MAY)

.PHONY: units
units: $(addprefix $(B)/unit/,$(UNITS))

# test_ROOM_SUBJECT.c sees that room's headers besides lib's; test_SUBJECT.c sees lib's only.
unit_room = $(firstword $(foreach r,$(TEST_ROOMS),$(if $(filter test_$(subst -,_,$(r))_%,$(1)),$(r))))
define unit_rules
$(B)/unit/$(1): tests/unit/$(1).c $(if $(call unit_room,$(1)),$(call archive,$(call unit_room,$(1)))) $(LIB_ARCHIVES)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $(addprefix -I,$(UNIT_MAY) $(call unit_room,$(1))) -MMD -MP -o $$@ $$(filter %.c %.a,$$^) $$(LIBS) -lcmocka
endef
$(foreach unit,$(UNITS),$(eval $(call unit_rules,$(unit))))

# tests/fuzz/fuzz_X.c is a libFuzzer program with its corpus in tests/fuzz/corpus/X; like a unit test,
# fuzz_ROOM_SUBJECT.c sees that room's headers. Everything below it is built with clang and -fsanitize.
FUZZERS := $(patsubst tests/fuzz/%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
fuzz_room = $(firstword $(foreach r,$(TEST_ROOMS),$(if $(filter fuzz_$(subst -,_,$(r))_%,$(1)),$(r))))

.PHONY: fuzzers
fuzzers: $(addprefix $(B)/fuzz/,$(FUZZERS))

define fuzz_rules
$(B)/fuzz/$(1): tests/fuzz/$(1).c $(if $(call fuzz_room,$(1)),$(call archive,$(call fuzz_room,$(1)))) $(LIB_ARCHIVES)
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $(addprefix -I,$(UNIT_MAY) $(call fuzz_room,$(1))) -fsanitize=fuzzer -MMD -MP -o $$@ $$(filter %.c %.a,$$^) $$(LIBS)
endef
$(foreach fuzzer,$(FUZZERS),$(eval $(call fuzz_rules,$(fuzzer))))

.PHONY: check lint
lint: ## analyzers (gcc -fanalyzer, clang-tidy, cppcheck) and a fuzz smoke over every parser
	@hack/deps
	@hack/lint

check: ## units, golden files, refused configurations, style: seconds
	@hack/deps
	@hack/check

# --- the lab --------------------------------------------------------------------------------------

.PHONY: bench demo test test-main test-cni test-node test-ipvs test-runtimes deps
deps: ## install what building and the lab need (Debian packages only)
	@hack/deps

demo: ## the main job and its failovers, narrated; figures in build/demo.json
	@hack/deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@hack/lab run python3 -m lab.demo

bench: ## Byway beside its alternatives, measured; figures in build/bench.json
	@hack/deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@hack/bench

test-main: ## the main job, in the lab, on a real kernel
test-cni: ## the CNI plugin in namespaces
test-node: ## two node agents on one machine
test-ipvs: ## services and failover by IPVS, on a real kernel
test-runtimes: ## the CNI plugin under podman and containerd
test-main test-cni test-node test-ipvs test-runtimes: test-%:
	@hack/deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@hack/test $*

test: ## make check, lint and every area's tests
	@hack/deps
	@$(MAKE) --no-print-directory -j$$(nproc) all
	@hack/test all

.PHONY: clean help
clean: ## remove build/
	rm -rf $(B)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | expand -t 14

-include $(shell [ -d $(B) ] && find $(B) -name '*.d')
