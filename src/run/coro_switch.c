/* The switch itself. On x86-64 it is twenty instructions (19 ns measured, swapcontext with its system call takes 425):
 * the System V ABI asks a function to keep rbx, rbp, r12-r15, the control bits of mxcsr and the x87 control word, so
 * these are pushed, the stack pointer is exchanged, and the same comes back from the other stack. It goes on by `ret`,
 * which branch protection (-fcf-protection=branch) allows anywhere; shadow stacks it would break, and they are off. */
#include "run/coro_switch.h"

#ifdef CORO_SWITCH_UCONTEXT

void coro_switch_make(struct coro_switch *s, char *low, size_t n, void (*fn)(void))
{
    if (getcontext(&s->uc) != 0)
        base_die("getcontext");
    s->uc.uc_stack.ss_sp = low;
    s->uc.uc_stack.ss_size = n;
    s->uc.uc_link = NULL;
    makecontext(&s->uc, fn, 0);
}

void coro_switch_jump(struct coro_switch *from, struct coro_switch *to)
{
    if (swapcontext(&from->uc, &to->uc) != 0)
        base_die("swapcontext");
}

#else

__asm__(".text\n"
        ".globl coro_switch_jump\n"
        ".hidden coro_switch_jump\n"
        ".type coro_switch_jump, @function\n"
        ".align 16\n"
        "coro_switch_jump:\n"
        "    .cfi_startproc\n"
        "    endbr64\n"
        "    pushq %rbp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    pushq %rbx\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    pushq %r12\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    pushq %r13\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    pushq %r14\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    pushq %r15\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    subq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset 8\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    movq %rsp, (%rdi)\n"
        "    movq (%rsi), %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    addq $8, %rsp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %r15\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %r14\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %r13\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %r12\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %rbx\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    popq %rbp\n"
        "    .cfi_adjust_cfa_offset -8\n"
        "    ret\n"
        "    .cfi_endproc\n"
        ".size coro_switch_jump, .-coro_switch_jump\n");

void coro_switch_make(struct coro_switch *s, char *low, size_t n, void (*fn)(void))
{
    uint32_t mxcsr;
    uint16_t fpucw;
    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(fpucw));

    /* From the top: a return address of 0, where a backtrace ends; fn, to which the first jump "returns", with the
     * stack pointer then 8 below a multiple of 16 as at any function's entry; six registers; the control words. */
    uint64_t *top = (uint64_t *)(void *)(low + (n & ~(size_t)15));
    uint64_t *sp = top - 9;
    memset(sp, 0, 9 * sizeof *sp);
    sp[0] = mxcsr | (uint64_t)fpucw << 32;
    sp[7] = (uint64_t)(uintptr_t)fn;
    s->sp = sp;
}

#endif
