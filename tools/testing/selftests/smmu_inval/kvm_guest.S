/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the guest of kvm_demo runs, wherever it is copied to. Each time it is entered
 * after its "out" it does what is in the mailbox at %rsi (struct mailbox of kvm_vm.c),
 * and comes back to the "out". It needs no stack.
 */
	.section .rodata
	.globl	guest_code, guest_end

guest_code:
	outb	%al, $0x10
	movq	16(%rsi), %r8			/* base */
	movq	24(%rsi), %r9			/* factor */
	movq	32(%rsi), %r10			/* limit */
	movl	40(%rsi), %r11d			/* command */
	cmpl	$3, %r11d
	jae	turns
	movq	$1, %r12
	shlq	$40, %r12			/* GEN */
round:
	movq	(%rsi), %rdi			/* start */
	movq	8(%rsi), %rcx			/* pages */
page:
	cmpl	$0, 44(%rsi)			/* stop */
	jne	guest_code
	movq	%rdi, %rax
	imulq	%r9, %rax
	addq	%r8, %rax
	cmpl	$1, %r11d
	je	write
	/* GUEST_READ and GUEST_COUNT look at what is there. */
	movq	(%rdi), %rdx
	cmpq	%rax, %rdx
	jne	bad
	movq	4088(%rdi), %rdx
	cmpq	%rax, %rdx
	jne	bad
	testl	%r11d, %r11d
	je	next
	addq	%r12, %rax
write:
	movq	%rax, (%rdi)
	movq	%rax, 4088(%rdi)
	incq	56(%rsi)			/* progress */
next:
	addq	$4096, %rdi
	decq	%rcx
	jnz	page
	cmpl	$2, %r11d
	jne	same
	addq	%r12, %r8
same:
	incq	48(%rsi)			/* rounds */
	cmpq	%r10, 48(%rsi)
	jb	round
	jmp	guest_code

	/* GUEST_PEEK and GUEST_POKE: when told, at once, and without any exit. */
turns:
	movq	(%rsi), %rdi			/* start */
	xorl	%eax, %eax
turn:
	cmpl	$0, 44(%rsi)			/* stop */
	jne	guest_code
	cmpq	%rax, 88(%rsi)			/* turn */
	je	turn
	movq	88(%rsi), %rax
	cmpl	$3, %r11d
	je	peek
	leaq	(%r8,%rax), %rdx
	movq	%rdx, (%rdi)
	jmp	answer
peek:
	movq	(%rdi), %rdx
answer:
	movq	%rdx, 104(%rsi)			/* seen */
	movq	%rax, 96(%rsi)			/* answered */
	jmp	turn
bad:
	movq	%rdi, 64(%rsi)
	movq	%rdx, 72(%rsi)
	movq	%rax, 80(%rsi)
	jmp	guest_code
guest_end:

	.section .note.GNU-stack, "", @progbits
