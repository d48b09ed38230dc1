# Builds, runs and tests the patient. `make help` lists what it can do;
# V=1 shows the commands.
#
# All that is made goes to build/ and run/. Paths are relative throughout, so
# the directory may have any name.

MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:

# ---- what is where

module_sources  := $(wildcard mod_patient/*.c mod_patient/*/*.c)
chaos_sources   := $(wildcard chaos/*.c)
cli_sources     := $(wildcard chaos/cli/*.c)
doctor_sources  := $(wildcard doctor/*.c)
unit_sources    := $(wildcard t/unit/*.c)
fuzz_sources    := $(wildcard t/fuzz/*.c)
# npm writes it last.
node_modules    := t/node/node_modules/.package-lock.json
sources         := $(module_sources) $(chaos_sources) $(cli_sources) \
    $(doctor_sources) $(unit_sources) $(fuzz_sources)
scripts         := conf/patientctl conf/deps .ci/run .ci/suites \
    t/bare-machine t/cgroup-test t/get-mysql t/image-test t/image/container \
    t/deb-test t/deb-test.inside

# What both the module and patient-chaos are made of. It is compiled without
# httpd's headers in reach, which keeps it free of httpd.
free_sources    := $(chaos_sources) $(wildcard \
    mod_patient/log/event.c mod_patient/log/symptom.c mod_patient/auth/*.c \
    mod_patient/store/breaker.c mod_patient/store/connect.c \
    mod_patient/store/connections.c mod_patient/store/dberror.c \
    mod_patient/store/dberror_known.c mod_patient/store/interrupt.c \
    mod_patient/gate.c mod_patient/grant.c mod_patient/cgroup.c \
    mod_patient/metadata.c mod_patient/cache.c mod_patient/ratelimit.c \
    mod_patient/vitals.c mod_patient/upstream.c mod_patient/datetime.c \
    mod_patient/http/field.c mod_patient/http/json_problem.c \
    mod_patient/http/urlencoded.c)

object           = $(patsubst %.c,build/obj/%.o,$(1))
module_objects  := $(call object,$(module_sources) $(chaos_sources))
free_objects    := $(call object,$(free_sources))
cli_objects     := $(call object,$(cli_sources))
doctor_objects  := $(call object,$(doctor_sources))
unit_programs   := $(patsubst t/unit/%.c,build/t/%,$(unit_sources))

# ---- how

# Asked when a recipe first needs it, not when make reads this file: by then
# the packages that have the answer are installed.
ask              = $(eval $(1) := $(shell $(2)))$($(1))
apxs_cflags      = $(call ask,apxs_cflags,apxs -q CFLAGS)
apxs_cppflags    = $(call ask,apxs_cppflags,apxs -q CPPFLAGS)
apxs_include     = $(call ask,apxs_include,apxs -q INCLUDEDIR)
apr_cppflags     = $(call ask,apr_cppflags,\
    apr-1-config --cppflags --includes && apu-1-config --includes)
apr_libs         = $(call ask,apr_libs,apu-1-config --link-ld && apr-1-config --link-ld)
mariadb_cppflags = $(call ask,mariadb_cppflags,mariadb_config --include)

CC         := gcc
warnings    = -Wall -Wextra -Wshadow -Wstrict-prototypes -Werror
hardening   = -D_FORTIFY_SOURCE=2 -fstack-protector-strong
CPPFLAGS    = -I. -Imod_patient
CFLAGS      = -std=gnu11 -fPIC -fvisibility=hidden
LDFLAGS     = -Wl,-z,relro,-z,now -Wl,--as-needed
LDLIBS      = -ljansson -ljwt -lmariadb -lcurl -lcrypt -lm

# Other people's headers are the system's: our warnings are not about them.
system       = $(patsubst -I/%,-isystem/%,$(filter-out -I/usr/include,$(1)))
all_cppflags = $(CPPFLAGS) $(apxs_cppflags) \
    $(call system,$(apr_cppflags) $(mariadb_cppflags))
httpd        = -isystem$(apxs_include)
quiet        = $(if $(V),,@echo '  $(1)' $@;)
# Of its stack, a thread never gives back what it has needed once, and a server
# has many: what is large comes from a pool.
frames       = $(if $(filter t/%,$<),,-Wframe-larger-than=16384)
compile      = $(CC) $(CFLAGS) $(apxs_cflags) $(warnings) $(frames) \
    $(hardening) $(all_cppflags)

.PHONY: all
all: ## build the module, patient-chaos and patient-doctor (the default)
all: build/mod_patient.so build/patient-chaos build/patient-doctor

build/obj/%.o: %.c Makefile | deps-build
	@mkdir -p $(@D)
	$(call quiet,cc)$(compile) $(if $(filter $<,$(free_sources) $(cli_sources) $(doctor_sources) $(unit_sources)),,$(httpd)) \
	    -MMD -MP -c -o $@ $<

-include $(patsubst %.o,%.d,$(call object,$(sources)))

# httpd brings APR along; the rest is the module's own.
build/mod_patient.so: $(module_objects)
	$(call quiet,ld)$(CC) -shared $(LDFLAGS) -o $@ $^ $(LDLIBS)

# An archive, so that a test links what it uses and may bring its own version
# of the rest.
build/libpatient.a: $(free_objects) $(filter-out build/obj/chaos/cli/main.o,$(cli_objects))
	@rm -f $@
	$(call quiet,ar)ar rcs $@ $^

build/patient-chaos: build/obj/chaos/cli/main.o build/libpatient.a
	$(call quiet,ld)$(CC) -pie $(LDFLAGS) -o $@ $^ $(LDLIBS) $(apr_libs)

# The Doctor knows the log alone: it links nothing of what makes a patient ill.
build/libdoctor.a: $(filter-out build/obj/doctor/main.o,$(doctor_objects))
	@rm -f $@
	$(call quiet,ar)ar rcs $@ $^

build/patient-doctor: build/obj/doctor/main.o build/libdoctor.a
	$(call quiet,ld)$(CC) -pie $(LDFLAGS) -o $@ $^ -ljansson $(apr_libs)

build/t/doctor_%: build/obj/t/unit/doctor_%.o build/libdoctor.a
	@mkdir -p $(@D)
	$(call quiet,ld)$(CC) -pie $(LDFLAGS) -o $@ $^ -ljansson $(apr_libs)

build/t/%: build/obj/t/unit/%.o build/libpatient.a
	@mkdir -p $(@D)
	$(call quiet,ld)$(CC) -pie $(LDFLAGS) -o $@ $^ $(LDLIBS) $(apr_libs)

.SECONDARY: $(call object,$(unit_sources))

# ---- run

.PHONY: run start stop status
run: ## build, start, stay in the foreground; Ctrl-C stops it all
run: deps-runtime deps-database all
	@exec conf/patientctl run

start: ## the same in the background (PORT and PATIENT_RUN set several apart)
start: deps-runtime deps-database all
	@conf/patientctl start

stop: ## stop it
	@conf/patientctl stop

status: ## say whether it runs, and where
	@conf/patientctl status

# chaos-<name>: one failure without a server, e.g. make chaos-db-fail
#               (ARGS="--mode refused" are options of patient-chaos)
.PHONY: chaos-help
chaos-%: deps-runtime deps-database all
	@conf/patientctl exec -- env -u HOME build/patient-chaos $* $(ARGS)

# ---- check

.PHONY: test test-mysql test-unit image-test cgroup-test lint
test: ## all tests (PATIENT_TESTS="t/x.t" for some of the suites)
test: deps-runtime deps-database deps-test $(node_modules) all $(unit_programs)
	@.ci/suites

# What docs/openapi.yaml and conf/ecs are checked with, exactly as locked; the
# tests themselves then need no network.
$(node_modules): t/node/package-lock.json | deps-node
	$(call quiet,npm)cd t/node && npm ci --loglevel=error >/dev/null

test-mysql: ## the suites on Oracle's MySQL, over TLS, in place of MariaDB
test-mysql: deps-runtime deps-database deps-test $(node_modules) all
	@t/get-mysql build/mysql
	@PATIENT_TEST_MYSQL=build/mysql .ci/suites

test-unit: ## the tests that need no server
test-unit: deps-test $(unit_programs) build/patient-chaos build/patient-doctor
	@prove --exec '' $(unit_programs)

image-test: ## build the image without an engine, run and stop it (root)
	@t/image-test

cgroup-test: ## what it does under a control group's limits (root)
cgroup-test: deps-runtime deps-database all
	@t/cgroup-test

lint: ## compilers' warnings (gcc, clang), clang-tidy, cppcheck, shellcheck
lint: deps-build deps-lint all $(unit_programs)
	@printf '%s\n' $(sources) | xargs -n 1 -P 2 clang $(CFLAGS) $(warnings) \
	    $(all_cppflags) $(httpd) -fsyntax-only
	@echo 'lint: gcc and clang have no warnings'
	@printf '%s\n' $(sources) | xargs -n 4 -P 2 sh -c 'clang-tidy --quiet \
	    --warnings-as-errors="*" "$$@" -- $(CFLAGS) $(all_cppflags) $(httpd) \
	    2>/dev/null' clang-tidy
	@echo 'lint: clang-tidy is content'
	@cppcheck --quiet --error-exitcode=1 --std=c11 --inline-suppr \
	    --enable=warning,performance,portability \
	    --library=posix,gnu -I. -Imod_patient $(sources)
	@echo 'lint: cppcheck is content'
	@shellcheck -x $(wildcard $(scripts))
	@echo 'lint: shellcheck is content'

# ---- package

# In a copy, because dpkg-buildpackage leaves its files all over the tree, and
# in one place, so that a second build takes over from the first.
.PHONY: deb deb-test
deb: ## build the Debian package, build/deb/*.deb
deb: deps-build deps-deb
	@rm -rf build/deb && mkdir -p build/deb/mod-patient
	@tar -cf - --exclude=./.git --exclude=./run --exclude=./build \
	    --exclude=./.env --exclude=./t/logs \
	    --exclude=node_modules . | \
	    tar -xf - -C build/deb/mod-patient
	@cd build/deb/mod-patient && DEB_BUILD_OPTIONS='nocheck $(DEB_BUILD_OPTIONS)' \
	    DEB_BUILD_PROFILES=nocheck dpkg-buildpackage --no-sign \
	    >../build.log 2>&1 || { tail -n 30 ../build.log; exit 1; }
	@lintian --allow-root --fail-on error,warning build/deb/*.changes
	@ls build/deb/*.deb

deb-test: ## install, use and purge it in a bare Debian 12 (root)
deb-test: deps-deb-test deb
	@t/deb-test build/deb/libapache2-mod-patient_*.deb

# ---- fuzz

.PHONY: fuzz
FUZZ_SECONDS := 60
fuzz: ## patient-doctor on hostile bytes (FUZZ_SECONDS=60)
fuzz: deps-build deps-fuzz build/fuzz-doctor
	@mkdir -p build/corpus
	@cd build && ./fuzz-doctor -max_total_time=$(FUZZ_SECONDS) -timeout=10 \
	    -max_len=8192 -print_final_stats=1 -dict=../t/fuzz/doctor.dict corpus

build/fuzz-doctor: t/fuzz/doctor.c $(filter-out doctor/main.c,$(doctor_sources)) \
    $(wildcard doctor/*.h) t/unit/doctor_text.h
	$(call quiet,cc)clang $(CFLAGS) -g -O1 $(warnings) $(all_cppflags) \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover \
	    -o $@ $(filter %.c,$^) -ljansson $(apr_libs)

# ---- the rest

.PHONY: install clean deps help
install: ## put the module where httpd has its own (apxs -i; DESTDIR)
install: all
	mkdir -p "$(DESTDIR)$$(apxs -q LIBEXECDIR)"
	apxs -S LIBEXECDIR="$(DESTDIR)$$(apxs -q LIBEXECDIR)" -i \
	    -n patient build/mod_patient.so

clean: ## remove what was built (run/, with its database, stays)
	rm -rf build

deps: ## install all that building, running, testing and linting need
deps: deps-node
	@conf/deps runtime database build test lint fuzz

.PHONY: deps-runtime deps-database deps-build deps-test deps-lint deps-fuzz \
    deps-deb deps-deb-test deps-node
deps-runtime deps-database deps-build deps-test deps-lint deps-fuzz deps-deb \
    deps-deb-test:
	@conf/deps $(patsubst deps-%,%,$@)

# Node often comes from elsewhere than Debian, and then with an npm of its own.
deps-node:
	@command -v npm >/dev/null || conf/deps node

help: ## this list
	@awk -F ': ## ' '/^[a-z-]+: ## / { printf "  make %-12s %s\n", $$1, $$2 }' \
	    Makefile
	@sed -n 's/^# chaos-/  make chaos-/p; s/^#               /                    /p' Makefile
