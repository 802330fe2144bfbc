# SPDX-License-Identifier: GPL-2.0
#
# What kunit.py needs to know about our x86 machine; the rest of its command
# line is in qemu-system-x86_64-tcg, which scripts/kunit has in its PATH.

from ..qemu_config import QemuArchParams

QEMU_ARCH = QemuArchParams(linux_arch='x86_64',
			   kconfig='',
			   qemu_arch='x86_64-tcg',
			   kernel_path='arch/x86/boot/bzImage',
			   kernel_command_line='console=ttyS0 panic=-1 no_timer_check',
			   extra_qemu_params=[])
