# SPDX-License-Identifier: GPL-2.0
#
# Everything is in scripts/; this gives it names. "make help" lists them.
# SMMU_INVAL_CACHE=DIR puts kernels, object trees and results elsewhere.

# The flavours of scripts/check, see kunit/configs/
FLAVOURS := $(filter-out %-demo %-bench %-kcov %-iommu %-drivers arm64-%,$(basename $(notdir $(wildcard kunit/configs/*-[0-9]*.config))))

.DEFAULT_GOAL := help
# The machine has one set of kernel trees, and the scripts use all of its CPUs.
.NOTPARALLEL:

help: ## this list
	@sed 's/^# //' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '/^[a-zA-Z0-9-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }'
	@echo "FLAVOUR is one of:"
	@printf '  %s\n' $(FLAVOURS)

demo: ## watch a driver follow a real process, coarse and precise side by side
	@scripts/install-packages demo
	@scripts/demo

demo-kvm: ## real KVM, stock and converted to the library, side by side (QEMU, 2 to 3 minutes)
	@scripts/install-packages check
	@scripts/demo-kvm

demo-sva: ## DMA by shared page tables behind a software IOMMU, coarse and precise (QEMU, a minute)
	@scripts/install-packages check
	@scripts/demo-sva

check: ## run all tests: lint, KUnit on each kernel, coverage, demo, Debian's kernels
	@scripts/check

measure: ## several devices at once, and faults beside invalidations: two tables a kernel
	@scripts/install-packages demo
	@scripts/measure

stress: ## random changes of memory under the GPU: make stress TIME=60 [SEED=1] [FLAVOUR=uml-7.3-smp]
	@scripts/install-packages check
	@scripts/stress $(or $(FLAVOUR),uml-7.3-smp) $(or $(TIME),60) $(SEED)

faults: ## the stress while what it needs fails at random: nothing stale, nothing left over
	@scripts/install-packages check
	@scripts/faults $(FLAVOUR)

check-full: ## the same and more: x86_64 with KASAN, KCSAN, and PREEMPT_RT, long tests of KVM
	@scripts/check --full

check-lint: ## checkpatch, sparse, W=1, kernel-doc, codespell, shellcheck
	@scripts/check lint

check-kunit: ## the KUnit suites on all kernels
	@scripts/check kunit

# check-kunit-FLAVOUR: ## the KUnit suites on one kernel (FILTER='suite.case' for some of them)
$(FLAVOURS:%=check-kunit-%):
	@scripts/check $(@:check-%=%)

check-coverage: ## line and branch coverage of lib/smmu_inval by KUnit
	@scripts/check kunit-uml-7.3-gcov coverage

check-demo: ## the demo as a test
	@scripts/check demo

check-debian: ## build modules for Debian's kernels, and run the demo's program there
	@scripts/check debian

check-arm64: ## compile the library and converted KVM for arm64, and look for its range flush
	@scripts/check arm64-7.3 arm64-6.12

check-hmm: ## the kernel's own HMM suite, with its driver as it is and converted to the library
	@scripts/check hmm

check-rxe: ## soft RoCE's on-demand paging, as it is and converted, on a changing process
	@scripts/check rxe

check-iommu: ## the kernel's own IOMMU drivers, converted: compiled, and Intel's and AMD's booted
	@scripts/check iommu

check-kvm: ## the kernel's own KVM tests, with KVM as it is and converted to the library
	@scripts/check kvm

check-sva: ## programs that have DMA use their memory while they change it, on 7.3 and 6.12
	@scripts/check sva

check-cocci: ## the audits and the generic conversions, on their fixtures
	@scripts/check cocci users

check-convert: ## compile every driver that a semantic patch converts, with W=1 and sparse
	@scripts/check convert arm64-7.3 arm64-6.12 iommu-arm64-7.3 iommu-arm64-6.12

mutate: ## do the tests notice faults in the library? (one of fifteen, about half an hour; ALL=1 for all)
	@scripts/install-packages check
	@scripts/mutate $(MUTANTS)

cocci: ## what users of mmu_notifiers break or waste: make cocci TREE=/path (or the three kernels)
	@scripts/install-packages cocci
	@if [ -n "$(TREE)" ]; then scripts/cocci "$(TREE)"; else \
		for version in 6.1 6.12 7.3; do \
			tree=$$(scripts/get-kernel $$version) || exit; \
			printf '\nLinux %s\n\n' $$version; scripts/cocci "$$tree" || exit; \
		done; fi

users: ## write Documentation/smmu_inval_users.rst: all users in the three kernels, one by one
	@scripts/install-packages check
	@scripts/notifier-users

bench: ## what an operation costs and how precise it is, beside KVM's scheme and interval notifiers
	@scripts/install-packages bench
	@scripts/bench

bench-plot: ## write Documentation/smmu_inval_bench/: the curves of the last "make bench"
	@scripts/install-packages bench
	@scripts/bench-plot

model: ## let Spin look at every state of the protocol, and find each of its mutations
	@scripts/install-packages check
	@scripts/model

litmus: ## ask the kernel's memory model about what is done without a lock
	@scripts/install-packages check
	@scripts/litmus

fuzz: ## random ioctls of the examples while their memory changes: make fuzz SECONDS=600 SEED=1
	@scripts/install-packages check
	@scripts/fuzz $(or $(SECONDS),120) $(SEED)

modules: ## build the library and the example as modules: make modules KDIR=/path/to/headers
	@scripts/build-modules "$(KDIR)"

install-in-tree: ## copy the library into a kernel source tree: make install-in-tree KDIR=/path
	@scripts/install-in-tree "$(KDIR)"

clean: ## remove what was built here and in the cache, but not what was downloaded
	@scripts/clean

clean-cache: ## remove the whole cache; says what it would remove, unless FORCE=1
	@scripts/clean --cache

.PHONY: help bench bench-plot model litmus mutate fuzz demo demo-kvm demo-sva measure stress faults check check-full check-lint check-kunit \
	check-coverage check-demo check-debian check-arm64 check-hmm check-iommu check-kvm \
	check-rxe check-sva check-cocci check-convert cocci users modules install-in-tree clean clean-cache \
	$(FLAVOURS:%=check-kunit-%)
