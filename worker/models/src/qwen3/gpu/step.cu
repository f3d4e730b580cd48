// A decode step of a dense Qwen3 in five kernels a layer, for GPUs.
//
// A step reads every weight once for a few multiplications each: what it can reach is the
// memory's bandwidth, and what keeps it from there is the number of kernels. Weights are
// bf16, rows `[out, in]` one after the other; everything else that is not a key or a value
// is f32.
//
// Shapes are constants, given when this is compiled:
//   ROWS        sequences that a step has at most
//   HIDDEN HEADS KV_HEADS HEAD_DIM INNER VOCAB EPS    the model's
//   WARPS       warps of a block of the products
//   CHUNK       numbers of each sequence's vector that a block holds at a time
// HIDDEN, HEADS · HEAD_DIM and INNER are multiples of 8, HEAD_DIM of 64.
//
// It is C as well as CUDA: tests run it on the CPU, a block at a time, with
// `emulated.h`, and compare it with the CPU's decoder.

#ifdef EMULATED
#include "emulated.h"
#else
#define KERNEL(name) extern "C" __global__ void name(const Arguments a)
#endif

typedef unsigned short Bf16;
// A number of a key or a value; tests that want more digits keep all.
#ifdef EXACT_CACHE
typedef float Kept;
#define keep(x) (x)
#define kept(x) (x)
#else
typedef Bf16 Kept;
#define keep(x) narrow(x)
#define kept(x) widen(x)
#endif

// The same in `arguments.rs`. A kernel reads what it needs of it.
typedef struct {
    // Weights: of a product, in parts whose rows follow each other.
    const Bf16 *first;
    const Bf16 *second;
    const Bf16 *third;
    // Scale of the norm before the product `[HIDDEN]`.
    const Bf16 *norm;
    // Scales of the norms over a head `[HEAD_DIM]`.
    const Bf16 *query_norm;
    const Bf16 *key_norm;
    // `[rows, HIDDEN]`, what layers add to.
    float *residual;
    // `[rows, (HEADS + 2 · KV_HEADS) · HEAD_DIM]`
    float *projected;
    // `[rows, HEADS · HEAD_DIM]`
    float *context;
    // `[rows, INNER]`
    float *inner;
    // `[rows, VOCAB]`
    float *logits;
    // `[rows, KV_HEADS, splits, GROUPS, PARTIAL]`
    float *partial;
    // `[rows, KV_HEADS]`, zero between kernels.
    unsigned *arrived;
    // `[rows, KV_HEADS, capacity, HEAD_DIM]` of a layer.
    Kept *keys;
    Kept *values;
    // `[rows]`: what is read, and the first column that its sequence has.
    const int *tokens;
    const int *starts;
    // `[rows, HEAD_DIM / 2]`
    const float *cosines;
    const float *sines;
    int rows;
    // Columns with the one that is written now.
    int columns;
    int capacity;
    // Columns of a block of attention, and such blocks.
    int split;
    int splits;
} Arguments;

#define LANES 32
#define THREADS (WARPS * LANES)
#define GROUPS (HEADS / KV_HEADS)
#define QUERY_WIDTH (HEADS * HEAD_DIM)
#define KEY_WIDTH (KV_HEADS * HEAD_DIM)
#define PROJECTED (QUERY_WIDTH + 2 * KEY_WIDTH)
// Numbers of a head that a lane has.
#define PER (HEAD_DIM / LANES)
// A head's sum of values, then its largest score and the sum of its shares.
#define PARTIAL (HEAD_DIM + 2)
// Rows of weights that a warp multiplies at a time.
#define OUT 2
// Weights that a lane reads at once, and how often it does before it multiplies.
#define WIDE 8
#define AHEAD 4
#define STRIDE (LANES * WIDE)
#define NEVER (-__uint_as_float(0x7f800000u))

static __device__ __forceinline__ float widen(unsigned bits) {
    return __uint_as_float(bits << 16);
}

// To nearest, even ones from the middle.
static __device__ __forceinline__ Bf16 narrow(float x) {
    unsigned bits = __float_as_uint(x);
    if (x != x) return 0x7fff;
    return (Bf16)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

static __device__ __forceinline__ float warp_sum(float x) {
    for (int apart = LANES / 2; apart > 0; apart /= 2) x += __shfl_xor_sync(0xffffffffu, x, apart);
    return x;
}

// Where the number `k` of a chunk is kept: lanes that read four numbers each, eight apart,
// would wait for each other; so are the fours of 256 numbers side by side.
static __device__ __forceinline__ int place(int k) {
    return (k & ~(STRIDE - 1)) | ((k & 4) << 5) | ((k & (STRIDE - 8)) >> 1) | (k & 3);
}

// `1 / √(mean square + EPS)` of each of the `rows` vectors of `source`.
static __device__ __forceinline__ void inverse_sizes(const float *source, int rows, float *inverse) {
    __shared__ float sums[ROWS][WARPS];
    int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    for (int row = 0; row < ROWS; row++) {
        float sum = 0;
        if (row < rows) {
            for (int k = threadIdx.x; k < HIDDEN; k += THREADS) {
                float x = source[row * HIDDEN + k];
                sum += x * x;
            }
        }
        sum = warp_sum(sum);
        if (lane == 0) sums[row][warp] = sum;
    }
    __syncthreads();
    for (int row = 0; row < ROWS; row++) {
        float sum = 0;
        for (int i = 0; i < WARPS; i++) sum += sums[row][i];
        inverse[row] = 1.0f / sqrtf(sum / HIDDEN + EPS);
    }
}

static __device__ __forceinline__ void read_ahead(
    uint4 found[AHEAD][OUT], const Bf16 *const weights[OUT], int from, int to, int lane) {
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
        int k = from + i * STRIDE + lane * WIDE;
#pragma unroll
        for (int out = 0; out < OUT; out++) {
            uint4 none = {0, 0, 0, 0};
            found[i][out] = k < to ? __ldg((const uint4 *)(weights[out] + k)) : none;
        }
    }
}

static __device__ __forceinline__ float four(float sum, unsigned w01, unsigned w23, const float4 x) {
    sum = fmaf(widen(w01), x.x, sum);
    sum = fmaf(__uint_as_float(w01 & 0xffff0000u), x.y, sum);
    sum = fmaf(widen(w23), x.z, sum);
    return fmaf(__uint_as_float(w23 & 0xffff0000u), x.w, sum);
}

// `sums[out][row] = weights[out] · source[row]`, vectors of `columns`; with `norm` of the
// normed vectors, which have HIDDEN. Every lane of a warp gets the warp's sums.
static __device__ __forceinline__ void multiply(
    const Bf16 *const weights[OUT], const float *source, const Bf16 *norm, int columns, int rows,
    float sums[OUT][ROWS]) {
    __shared__ float4 vectors[ROWS][CHUNK / 4];
    float inverse[ROWS];
    uint4 found[AHEAD][OUT];
    int lane = threadIdx.x % LANES;
    // On their way while the vectors are made ready.
    read_ahead(found, weights, 0, columns < CHUNK ? columns : CHUNK, lane);
    if (norm) inverse_sizes(source, rows, inverse);
    for (int out = 0; out < OUT; out++)
        for (int row = 0; row < ROWS; row++) sums[out][row] = 0;

    for (int base = 0; base < columns; base += CHUNK) {
        int width = columns - base < CHUNK ? columns - base : CHUNK;
        int filled = (width + STRIDE - 1) / STRIDE * STRIDE;
        if (base > 0) {
            read_ahead(found, weights, base, base + width, lane);
            __syncthreads();
        }
#pragma unroll
        for (int row = 0; row < ROWS; row++) {
            float *to = (float *)vectors[row];
            for (int k = threadIdx.x; k < filled; k += THREADS) {
                float x = 0;
                if (row < rows && k < width) {
                    x = source[row * columns + base + k];
                    if (norm) x = x * inverse[row] * widen(norm[base + k]);
                }
                to[place(k)] = x;
            }
        }
        __syncthreads();
        for (int from = 0; from < filled; from += AHEAD * STRIDE) {
            if (from > 0) read_ahead(found, weights, base + from, base + width, lane);
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                int at = from + i * STRIDE;
                if (at >= filled) break;
#pragma unroll
                for (int row = 0; row < ROWS; row++) {
                    float4 low = vectors[row][at / 4 + lane];
                    float4 high = vectors[row][at / 4 + LANES + lane];
#pragma unroll
                    for (int out = 0; out < OUT; out++) {
                        uint4 w = found[i][out];
                        float sum = four(sums[out][row], w.x, w.y, low);
                        sums[out][row] = four(sum, w.z, w.w, high);
                    }
                }
            }
        }
    }
#pragma unroll
    for (int out = 0; out < OUT; out++)
#pragma unroll
        for (int row = 0; row < ROWS; row++) sums[out][row] = warp_sum(sums[out][row]);
}

// The first of the rows that this warp multiplies.
static __device__ __forceinline__ int first_row(void) {
    return (blockIdx.x * WARPS + threadIdx.x / LANES) * OUT;
}

// The states of the tokens.
KERNEL(embed) {
    int row = blockIdx.x;
    const Bf16 *from = a.first + (size_t)a.tokens[row] * HIDDEN;
    for (int k = threadIdx.x; k < HIDDEN; k += THREADS)
        a.residual[row * HIDDEN + k] = widen(from[k]);
}

// Queries, keys and values of the normed states: `first`, `second` and `third`.
KERNEL(project) {
    const Bf16 *weights[OUT];
    float sums[OUT][ROWS];
    int place = first_row(), lane = threadIdx.x % LANES;
#pragma unroll
    for (int out = 0; out < OUT; out++) {
        int row = place + out < PROJECTED ? place + out : PROJECTED - 1;
        const Bf16 *part = a.first;
        if (row >= QUERY_WIDTH + KEY_WIDTH) {
            part = a.third;
            row -= QUERY_WIDTH + KEY_WIDTH;
        } else if (row >= QUERY_WIDTH) {
            part = a.second;
            row -= QUERY_WIDTH;
        }
        weights[out] = part + (size_t)row * HIDDEN;
    }
    multiply(weights, a.residual, a.norm, HIDDEN, a.rows, sums);
#pragma unroll
    for (int out = 0; out < OUT; out++)
#pragma unroll
        for (int row = 0; row < ROWS; row++)
            if (lane == row && row < a.rows && place + out < PROJECTED)
                a.projected[row * PROJECTED + place + out] = sums[out][row];
}

// A lane's numbers of a head, normed and turned.
static __device__ __forceinline__ void turned(
    float to[PER], const float *head, const Bf16 *norm, const float *cosines, const float *sines, int lane) {
    float sum = 0;
    for (int i = 0; i < PER; i++) {
        to[i] = head[lane * PER + i];
        sum += to[i] * to[i];
    }
    float inverse = 1.0f / sqrtf(warp_sum(sum) / HEAD_DIM + EPS);
    for (int i = 0; i < PER; i++) to[i] *= inverse * widen(norm[lane * PER + i]);
    for (int i = 0; i < PER; i++) {
        // The other of its pair is half a head away.
        float other = __shfl_xor_sync(0xffffffffu, to[i], LANES / 2);
        int pair = lane % (LANES / 2) * PER + i;
        float sine = lane < LANES / 2 ? -sines[pair] : sines[pair];
        to[i] = to[i] * cosines[pair] + other * sine;
    }
}

// Columns that a warp of attention scores at a time.
#define KEYS 4
#define ATTENTION_WARPS 4

// The shares of `split` columns in the contexts of the queries that share a key head, and
// by the last such block to be done their sum; the block of the newest column also writes
// its key and value. Grid: splits, KV_HEADS, rows.
KERNEL(attend) {
    __shared__ float queries[GROUPS][HEAD_DIM];
    __shared__ float largest[ATTENTION_WARPS][GROUPS], shares[ATTENTION_WARPS][GROUPS];
    __shared__ float sums[ATTENTION_WARPS][GROUPS][HEAD_DIM];
    __shared__ int is_last;
    int lane = threadIdx.x % LANES, warp = threadIdx.x / LANES;
    int number = blockIdx.x, head = blockIdx.y, row = blockIdx.z;
    const float *projected = a.projected + row * PROJECTED;
    const float *cosines = a.cosines + row * (HEAD_DIM / 2), *sines = a.sines + row * (HEAD_DIM / 2);
    size_t base = ((size_t)row * KV_HEADS + head) * a.capacity * HEAD_DIM;
    Kept *keys = a.keys + base, *values = a.values + base;
    float scale = 1.0f / sqrtf((float)HEAD_DIM);

    for (int group = warp; group < GROUPS; group += ATTENTION_WARPS) {
        float query[PER];
        const float *from = projected + (head * GROUPS + group) * HEAD_DIM;
        turned(query, from, a.query_norm, cosines, sines, lane);
        for (int i = 0; i < PER; i++) queries[group][lane * PER + i] = query[i] * scale;
    }
    if (number == a.splits - 1 && warp == ATTENTION_WARPS - 1) {
        float key[PER];
        const float *from = projected + QUERY_WIDTH + head * HEAD_DIM;
        size_t newest = (size_t)(a.columns - 1) * HEAD_DIM + lane * PER;
        turned(key, from, a.key_norm, cosines, sines, lane);
        for (int i = 0; i < PER; i++) {
            keys[newest + i] = keep(key[i]);
            values[newest + i] = keep(from[KEY_WIDTH + lane * PER + i]);
        }
    }
    __syncthreads();

    float query[GROUPS][PER], sum[GROUPS][PER], most[GROUPS], share[GROUPS];
    for (int group = 0; group < GROUPS; group++) {
        most[group] = NEVER;
        share[group] = 0;
        for (int i = 0; i < PER; i++) {
            query[group][i] = queries[group][lane * PER + i];
            sum[group][i] = 0;
        }
    }
    int from = number * a.split, to = from + a.split;
    if (to > a.columns) to = a.columns;
    if (from < a.starts[row]) from = a.starts[row];
    for (int column = from + warp * KEYS; column < to; column += ATTENTION_WARPS * KEYS) {
        float scores[KEYS][GROUPS];
#pragma unroll
        for (int key = 0; key < KEYS; key++) {
            int at = column + key < to ? column + key : to - 1;
            float numbers[PER];
            for (int i = 0; i < PER; i++) numbers[i] = kept(keys[(size_t)at * HEAD_DIM + lane * PER + i]);
            for (int group = 0; group < GROUPS; group++) {
                float dot = 0;
                for (int i = 0; i < PER; i++) dot += query[group][i] * numbers[i];
                dot = warp_sum(dot);
                scores[key][group] = column + key < to ? dot : NEVER;
            }
        }
        for (int group = 0; group < GROUPS; group++) {
            // The first of them is never NEVER.
            float now = most[group];
            for (int key = 0; key < KEYS; key++) now = fmaxf(now, scores[key][group]);
            float kept = expf(most[group] - now);
            most[group] = now;
            share[group] *= kept;
            for (int i = 0; i < PER; i++) sum[group][i] *= kept;
            for (int key = 0; key < KEYS; key++) {
                scores[key][group] = expf(scores[key][group] - now);
                share[group] += scores[key][group];
            }
        }
#pragma unroll
        for (int key = 0; key < KEYS; key++) {
            int at = column + key < to ? column + key : to - 1;
            for (int i = 0; i < PER; i++) {
                float value = kept(values[(size_t)at * HEAD_DIM + lane * PER + i]);
                for (int group = 0; group < GROUPS; group++) sum[group][i] += scores[key][group] * value;
            }
        }
    }
    for (int group = 0; group < GROUPS; group++) {
        for (int i = 0; i < PER; i++) sums[warp][group][lane * PER + i] = sum[group][i];
        if (lane == 0) {
            largest[warp][group] = most[group];
            shares[warp][group] = share[group];
        }
    }
    __syncthreads();

    float *partial = a.partial + ((size_t)row * KV_HEADS + head) * a.splits * GROUPS * PARTIAL;
    for (int k = threadIdx.x; k < GROUPS * HEAD_DIM; k += ATTENTION_WARPS * LANES) {
        int group = k / HEAD_DIM, i = k % HEAD_DIM;
        float now = NEVER, total = 0, all = 0;
        for (int w = 0; w < ATTENTION_WARPS; w++) now = fmaxf(now, largest[w][group]);
        for (int w = 0; w < ATTENTION_WARPS; w++) {
            if (largest[w][group] == NEVER) continue;
            float part = expf(largest[w][group] - now);
            total += part * sums[w][group][i];
            all += part * shares[w][group];
        }
        float *into = partial + ((size_t)number * GROUPS + group) * PARTIAL;
        into[i] = total;
        if (i == 0) {
            into[HEAD_DIM] = now;
            into[HEAD_DIM + 1] = all;
        }
    }
    // What this block wrote can be seen by all before it counts as arrived.
    __threadfence();
    __syncthreads();
    if (threadIdx.x == 0) {
        unsigned *arrived = a.arrived + row * KV_HEADS + head;
        is_last = atomicAdd(arrived, 1u) == (unsigned)a.splits - 1;
        if (is_last) *arrived = 0;
    }
    __syncthreads();
    if (!is_last) return;
    __threadfence();

    for (int k = threadIdx.x; k < GROUPS * HEAD_DIM; k += ATTENTION_WARPS * LANES) {
        int group = k / HEAD_DIM, i = k % HEAD_DIM;
        float now = NEVER, total = 0, all = 0;
        for (int s = 0; s < a.splits; s++)
            now = fmaxf(now, __ldcg(partial + ((size_t)s * GROUPS + group) * PARTIAL + HEAD_DIM));
        for (int s = 0; s < a.splits; s++) {
            const float *of = partial + ((size_t)s * GROUPS + group) * PARTIAL;
            float most = __ldcg(of + HEAD_DIM);
            if (most == NEVER) continue;
            float part = expf(most - now);
            total += part * __ldcg(of + i);
            all += part * __ldcg(of + HEAD_DIM + 1);
        }
        a.context[row * QUERY_WIDTH + (head * GROUPS + group) * HEAD_DIM + i] = total / all;
    }
}

// Adds to the states what `first` makes of vectors of `columns`.
static __device__ __forceinline__ void add(const Arguments *a, const float *source, int columns) {
    const Bf16 *weights[OUT];
    float sums[OUT][ROWS];
    int place = first_row(), lane = threadIdx.x % LANES;
#pragma unroll
    for (int out = 0; out < OUT; out++) {
        int row = place + out < HIDDEN ? place + out : HIDDEN - 1;
        weights[out] = a->first + (size_t)row * columns;
    }
    multiply(weights, source, 0, columns, a->rows, sums);
#pragma unroll
    for (int out = 0; out < OUT; out++)
#pragma unroll
        for (int row = 0; row < ROWS; row++)
            if (lane == row && row < a->rows && place + out < HIDDEN)
                a->residual[row * HIDDEN + place + out] += sums[out][row];
}

// Of the contexts.
KERNEL(output) {
    add(&a, a.context, QUERY_WIDTH);
}

// `silu(gate) · up` of the normed states: `first` and `second`.
KERNEL(gate_up) {
    float sums[OUT][ROWS];
    int row = first_row() / OUT, lane = threadIdx.x % LANES;
    size_t from = (size_t)(row < INNER ? row : INNER - 1) * HIDDEN;
    const Bf16 *weights[OUT] = {a.first + from, a.second + from};
    multiply(weights, a.residual, a.norm, HIDDEN, a.rows, sums);
#pragma unroll
    for (int n = 0; n < ROWS; n++)
        if (lane == n && n < a.rows && row < INNER)
            a.inner[n * INNER + row] = sums[0][n] / (1.0f + expf(-sums[0][n])) * sums[1][n];
}

// Of the gated numbers.
KERNEL(down) {
    add(&a, a.inner, INNER);
}

// The logits of the normed states.
KERNEL(head) {
    const Bf16 *weights[OUT];
    float sums[OUT][ROWS];
    int place = first_row(), lane = threadIdx.x % LANES;
#pragma unroll
    for (int out = 0; out < OUT; out++) {
        int row = place + out < VOCAB ? place + out : VOCAB - 1;
        weights[out] = a.first + (size_t)row * HIDDEN;
    }
    multiply(weights, a.residual, a.norm, HIDDEN, a.rows, sums);
#pragma unroll
    for (int out = 0; out < OUT; out++)
#pragma unroll
        for (int row = 0; row < ROWS; row++)
            if (lane == row && row < a.rows && place + out < VOCAB)
                a.logits[(size_t)row * VOCAB + place + out] = sums[out][row];
}
