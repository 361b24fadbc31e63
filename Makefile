# make run | test | demo are all a newcomer needs; each installs what is missing first.

PYTHON  := /usr/bin/python3
RELEASE := build/release
CHECKED := build/checked
FAULTS  := build/faults
VENDOR  := build/tools
DATA    ?=
PREFIX  ?= /usr/local
# A progress line on a terminal, silence unless something fails everywhere else.
NINJA   := ninja $(if $(MAKE_TERMOUT),,--quiet)

RELEASE_OPTIONS := --buildtype=release -Dhardening=true -Dtests=false -Db_lto=true -Db_pie=true \
	--prefix=/

.PHONY: help run build test faults soak check demo bench bench-match format lint tsan fuzz install clean

help:
	@echo "make run      build and start eventflow on 127.0.0.1:8080 (data in ./data)"
	@echo "make demo     play a short scenario and stop (DATA=file.txt sends that purchase history)"
	@echo "make test     all tests, with sanitizers; short runs of the fault tests"
	@echo "make soak     long runs of the fault tests (power cuts need root)"
	@echo "make build    release binary at $(RELEASE)/eventflow"
	@echo "make check    the rules of the house: layers, sizes, lists, banned functions"
	@echo "make lint     gcc and clang with warnings as errors, clang-format"
	@echo "make bench    all benchmarks (about 25 minutes); writes bench/README.md"
	@echo "make bench-match  the matcher alone (about 10 minutes); writes bench/match/README.md"
	@echo "make fuzz     run every fuzz target for SECONDS=20 (clang)"
	@echo "make tsan     unit and contract tests under the thread sanitizer"
	@echo "make format   format the sources"
	@echo "make install  install program, manuals and libeventflow-match below PREFIX=$(PREFIX)"

run: build
	@exec $(RELEASE)/eventflow serve --examples

build:
	@scripts/bootstrap build
	@scripts/configure $(RELEASE) $(RELEASE_OPTIONS)
	@$(NINJA) -C $(RELEASE) eventflow

test:
	@scripts/bootstrap test
	@scripts/configure $(CHECKED) -Db_sanitize=address,undefined -Dtest_hooks=true
	@$(NINJA) -C $(CHECKED)
	@$(MAKE) --no-print-directory faults
	@$(PYTHON) scripts/run_tests.py --build $(CHECKED) --faults $(FAULTS) --tools $(VENDOR)

# Without sanitizers, as a library that lies about files cannot be loaded before theirs; with the
# programs that are broken on purpose.
faults:
	@scripts/configure $(FAULTS) --buildtype=debugoptimized -Dtests=false -Dtest_hooks=true \
		-Dfault_builds=true
	@$(NINJA) -C $(FAULTS)

soak:
	@scripts/bootstrap test
	@$(MAKE) --no-print-directory faults
	@$(PYTHON) scripts/run_tests.py --faults $(FAULTS) --soak

check:
	@$(PYTHON) scripts/check.py

demo: build
	@$(PYTHON) scripts/demo.py --binary $(RELEASE)/eventflow $(if $(DATA),--data $(DATA))

bench:
	@scripts/bootstrap bench
	@scripts/configure $(RELEASE) $(RELEASE_OPTIONS)
	@$(NINJA) -C $(RELEASE) eventflow bench-programs
	@$(PYTHON) bench/run.py --build $(RELEASE)

bench-match:
	@scripts/bootstrap bench
	@scripts/configure $(RELEASE) $(RELEASE_OPTIONS)
	@$(NINJA) -C $(RELEASE) eventflow bench-programs
	@$(PYTHON) bench/run.py --build $(RELEASE) --only match

lint:
	@scripts/bootstrap lint
	@scripts/configure build/lint-gcc --werror
	@$(NINJA) -C build/lint-gcc
	@CC=clang scripts/configure build/lint-clang --werror
	@$(NINJA) -C build/lint-clang
	@find src tests bench examples -name '*.[ch]' -print0 | xargs -0 clang-format-14 --dry-run --Werror --ferror-limit=1 || \
		{ echo "lint: make format puts the layout right" >&2; exit 1; }
	@echo "lint: clean"

format:
	@scripts/bootstrap lint
	@find src tests bench examples -name '*.[ch]' -print0 | xargs -0 clang-format-14 -i

# Without GLib's own allocator, whose reuse of memory across threads the sanitizer cannot see.
tsan:
	@scripts/bootstrap test
	@scripts/configure build/tsan -Db_sanitize=thread -Dtest_hooks=true
	@$(NINJA) -C build/tsan
	@G_SLICE=always-malloc G_DEBUG=fatal-criticals meson test -C build/tsan --no-rebuild \
		--print-errorlogs --suite unit --suite contract --timeout-multiplier 4

fuzz:
	@scripts/bootstrap lint
	@CC=clang scripts/configure build/fuzz -Dfuzzers=true -Db_sanitize=address,undefined \
		-Db_lundef=false -Dc_args=-fsanitize=fuzzer-no-link
	@$(NINJA) -C build/fuzz fuzz-programs
	@scripts/fuzz build/fuzz $(or $(SECONDS),20)

# PREFIX stands in front of the prefix / of the build, so that another one needs no other build. The
# loader is told of the library where it looks anyway.
install: build
	@$(NINJA) -C $(RELEASE)
	@mkdir -p "$(DESTDIR)$(abspath $(PREFIX))" && test -w "$(DESTDIR)$(abspath $(PREFIX))" || \
		{ echo "install: cannot write below $(PREFIX): use sudo or another PREFIX" >&2; exit 1; }
	@DESTDIR="$(DESTDIR)$(abspath $(PREFIX))" meson install -C $(RELEASE) --no-rebuild
	@if [ -z "$(DESTDIR)" ] && [ "$$(id -u)" = 0 ]; then ldconfig; fi

clean:
	rm -rf build
