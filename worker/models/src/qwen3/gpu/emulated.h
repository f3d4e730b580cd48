// What `step.cu` needs of CUDA, on the CPU: a block's threads are contexts that take turns,
// each until it has to wait for others. For tests of the numbers, not for use.

#include <math.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#define __device__
#define __forceinline__ inline
// Of a block, and one block runs at a time.
#define __shared__ static
#define KERNEL(name)                                                                           \
    static void name##_of(const Arguments a);                                                  \
    static void name##_thread(void) { name##_of(*(const Arguments *)emulated_arguments); }     \
    int name(const void *arguments, const unsigned *grid, unsigned threads, int backwards) {   \
        return emulated_run(name##_thread, arguments, grid, threads, backwards);               \
    }                                                                                          \
    static void name##_of(const Arguments a)

typedef struct {
    unsigned x, y, z;
} uint3;
typedef struct {
    unsigned x, y, z, w;
} uint4;
typedef struct {
    float x, y, z, w;
} float4;

#define EMULATED_MOST 1024
#define EMULATED_STACK (128 * 1024)

static uint3 threadIdx, blockIdx;
static const void *emulated_arguments;
// A thread begins in a context of its own; between those that have begun jumps do, which
// unlike contexts take no call of the kernel's.
static ucontext_t emulated_contexts[EMULATED_MOST];
static jmp_buf emulated_main, emulated_places[EMULATED_MOST];
static char emulated_has_begun[EMULATED_MOST];
static char *emulated_stacks;
static unsigned emulated_threads, emulated_done;
static char emulated_is_done[EMULATED_MOST];
// Whose turn it is, and in which direction turns go.
static int emulated_now, emulated_step;
static unsigned emulated_block_arrived, emulated_block_round;
static unsigned emulated_warp_arrived[EMULATED_MOST / 32], emulated_warp_round[EMULATED_MOST / 32];
static float emulated_slots[EMULATED_MOST];

static void emulated_go_on(int thread) {
    if (emulated_has_begun[thread]) _longjmp(emulated_places[thread], 1);
    emulated_has_begun[thread] = 1;
    setcontext(&emulated_contexts[thread]);
}

// The next thread that is not done has its turn.
static void emulated_yield(void) {
    int from = emulated_now, next = from, count = (int)emulated_threads;
    do {
        next += emulated_step;
        if (next == count) next = 0;
        if (next < 0) next = count - 1;
    } while (emulated_is_done[next] && next != from);
    if (next == from) return;
    emulated_now = next;
    threadIdx.x = (unsigned)next;
    if (_setjmp(emulated_places[from]) == 0) emulated_go_on(next);
}

static void emulated_wait(unsigned *arrived, unsigned *round, unsigned all) {
    unsigned mine = *round;
    if (++*arrived == all) {
        *arrived = 0;
        ++*round;
        return;
    }
    while (*round == mine) emulated_yield();
}

static void __syncthreads(void) {
    emulated_wait(&emulated_block_arrived, &emulated_block_round, emulated_threads);
}

static float __shfl_xor_sync(unsigned mask, float x, int apart) {
    unsigned me = threadIdx.x, warp = me / 32;
    (void)mask;
    emulated_slots[me] = x;
    emulated_wait(&emulated_warp_arrived[warp], &emulated_warp_round[warp], 32);
    x = emulated_slots[me ^ (unsigned)apart];
    emulated_wait(&emulated_warp_arrived[warp], &emulated_warp_round[warp], 32);
    return x;
}

static void __threadfence(void) {}

static unsigned atomicAdd(unsigned *to, unsigned more) {
    unsigned was = *to;
    *to += more;
    return was;
}

#define __ldg(address) (*(address))
#define __ldcg(address) (*(address))

static unsigned __float_as_uint(float x) {
    unsigned bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static float __uint_as_float(unsigned bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static void (*emulated_kernel)(void);

static void emulated_thread(void) {
    emulated_kernel();
    emulated_is_done[emulated_now] = 1;
    if (++emulated_done == emulated_threads) _longjmp(emulated_main, 1);
    for (;;) emulated_yield();
}

static void emulated_block(int first) {
    for (unsigned i = 0; i < emulated_threads; i++) {
        getcontext(&emulated_contexts[i]);
        emulated_contexts[i].uc_stack.ss_sp = emulated_stacks + (size_t)i * EMULATED_STACK;
        emulated_contexts[i].uc_stack.ss_size = EMULATED_STACK;
        emulated_contexts[i].uc_link = NULL;
        makecontext(&emulated_contexts[i], emulated_thread, 0);
    }
    emulated_done = emulated_block_arrived = 0;
    memset(emulated_is_done, 0, sizeof emulated_is_done);
    memset(emulated_has_begun, 0, sizeof emulated_has_begun);
    memset(emulated_warp_arrived, 0, sizeof emulated_warp_arrived);
    emulated_now = first;
    threadIdx.x = (unsigned)first;
    if (_setjmp(emulated_main) == 0) emulated_go_on(first);
}

// Runs a grid of blocks of whole warps; nonzero when threads wait for some that are gone.
static int emulated_run(
    void (*kernel)(void), const void *arguments, const unsigned *grid, unsigned threads, int backwards) {
    if (threads > EMULATED_MOST || threads % 32 != 0) return 1;
    if (!emulated_stacks) emulated_stacks = malloc((size_t)EMULATED_MOST * EMULATED_STACK);
    if (!emulated_stacks) return 2;
    emulated_kernel = kernel;
    emulated_arguments = arguments;
    emulated_threads = threads;
    emulated_step = backwards ? -1 : 1;
    for (unsigned block = 0; block < grid[0] * grid[1] * grid[2]; block++) {
        blockIdx.x = block % grid[0];
        blockIdx.y = block / grid[0] % grid[1];
        blockIdx.z = block / grid[0] / grid[1];
        emulated_block(backwards ? (int)threads - 1 : 0);
        if (emulated_block_arrived) return 3;
    }
    return 0;
}
