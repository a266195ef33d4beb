"""SpiraConv's layers as loops that numba compiles: on a CPU an epoch is faster than with torch's operations.

What are several operations of torch, over tensors larger than a core's cache, is one pass here over a few channels, or
a tile of frames, that stay in it. A kernel does not hold Python's lock, so that threads do not wait for each other.
models/cpu/time_convolution.py and models/cpu/mish_pool.py make layers of them. ``d_x`` is the gradient by ``x``.

An innermost loop counts from 0, and what it reads is cut out before it: only then does LLVM vectorize it, which makes
it ten times as fast. What a function calls stands before it, for it is compiled where it stands.
"""

import numpy as np
from numba import njit

from spira.models.cpu.machine_code import compiled, inner, reordered

_f = np.float32
_LEAST, _MOST = _f(-87), _f(20)  # e^z underflows below, and Mish is the identity above, to rounding
_TILE = 960  # values of a channel, so that those of all channels stay in the second-level cache


@inner
def _slices(x, starts, m, q, n):
    """The ``n`` values from the ``q``-th on, of four slices of a window."""
    a, b, c, d = starts[m] + q, starts[m + 1] + q, starts[m + 2] + q, starts[m + 3] + q
    return x[a : a + n], x[b : b + n], x[c : c + n], x[d : d + n]


@inner
def _rows(x, q, n):
    return x[0, q : q + n], x[1, q : q + n], x[2, q : q + n], x[3, q : q + n]


@inner
def _add(rows, weight, sums):
    """``sums += weight @ rows``, of four by four: 16 products to 8 loads, and no more than a core's registers hold."""
    x0, x1, x2, x3 = rows
    y0, y1, y2, y3 = sums
    w00, w01, w02, w03 = weight[0, 0], weight[0, 1], weight[0, 2], weight[0, 3]
    w10, w11, w12, w13 = weight[1, 0], weight[1, 1], weight[1, 2], weight[1, 3]
    w20, w21, w22, w23 = weight[2, 0], weight[2, 1], weight[2, 2], weight[2, 3]
    w30, w31, w32, w33 = weight[3, 0], weight[3, 1], weight[3, 2], weight[3, 3]
    for i in range(x0.size):
        a, b, c, d = x0[i], x1[i], x2[i], x3[i]
        y0[i] = y0[i] + w00 * a + w01 * b + w02 * c + w03 * d
        y1[i] = y1[i] + w10 * a + w11 * b + w12 * c + w13 * d
        y2[i] = y2[i] + w20 * a + w21 * b + w22 * c + w23 * d
        y3[i] = y3[i] + w30 * a + w31 * b + w32 * c + w33 * d


@reordered
def _add_products(rows, others, products):
    """``products += rows @ others.T``, of four by four."""
    e, f, g, h = rows
    a, b, c, d = others
    w00 = w01 = w02 = w03 = w10 = w11 = w12 = w13 = _f(0)
    w20 = w21 = w22 = w23 = w30 = w31 = w32 = w33 = _f(0)
    for i in range(a.size):
        w00, w01, w02, w03 = w00 + e[i] * a[i], w01 + e[i] * b[i], w02 + e[i] * c[i], w03 + e[i] * d[i]
        w10, w11, w12, w13 = w10 + f[i] * a[i], w11 + f[i] * b[i], w12 + f[i] * c[i], w13 + f[i] * d[i]
        w20, w21, w22, w23 = w20 + g[i] * a[i], w21 + g[i] * b[i], w22 + g[i] * c[i], w23 + g[i] * d[i]
        w30, w31, w32, w33 = w30 + h[i] * a[i], w31 + h[i] * b[i], w32 + h[i] * c[i], w33 + h[i] * d[i]
    found = (w00, w01, w02, w03), (w10, w11, w12, w13), (w20, w21, w22, w23), (w30, w31, w32, w33)
    for row in range(4):
        for column in range(4):
            products[row, column] += found[row][column]


@inner
def _convolve(x, weight, bias, starts, out, q):
    """The tile from ``q`` on of four channels of a window, as ``convolve``."""
    n = min(_TILE, out.shape[1] - q)
    sums = _rows(out, q, n)
    for i in range(4):
        sums[i][:] = bias[i]
    for m in range(0, len(starts), 4):
        _add(_slices(x, starts, m, q, n), weight[:, m : m + 4], sums)


@inner
def _convolve_all(x, weight, bias, starts, out):
    """Every tile of four channels of a window."""
    for q in range(0, out.shape[1], _TILE):
        _convolve(x, weight, bias, starts, out, q)


@reordered
def _convolve_back_to_weight(x, d_out, starts, d_weight, d_bias, q):
    """``convolve_back_to_weight`` for the tile from ``q`` on, of four channels of a window."""
    n = min(_TILE, d_out.shape[1] - q)
    rows = _rows(d_out, q, n)
    for i in range(4):
        row, total = rows[i], _f(0)
        for j in range(row.size):
            total += row[j]
        d_bias[i] += total
    for m in range(0, len(starts), 4):
        _add_products(rows, _slices(x, starts, m, q, n), d_weight[:, m : m + 4])


@compiled("(float32[:,::1], float32[:,::1], float32[::1], int64[::1], float32[:,:,::1])")
def convolve(x, weight, bias, starts, out):
    """Sums of weighted slices of each window.

    Args:
        x: (batch, value).
        weight: (channel, slice), as many of each as a multiple of four.
        bias: (channel,).
        starts: where each slice begins.
        out: (batch, channel, value); written.
    """
    for window in range(len(x)):
        for q in range(0, out.shape[2], _TILE):
            for c in range(0, len(bias), 4):
                _convolve(x[window], weight[c : c + 4], bias[c : c + 4], starts, out[window, c : c + 4], q)


@compiled("(float32[:,:,::1], float32[:,::1], int64[::1], float32[:,::1])")
def convolve_back(d_out, weight, starts, d_x):
    """The gradient by ``x`` of ``convolve``, written into ``d_x``.

    Args:
        d_out: (batch, channel, value).
        weight: (slice, channel).
        starts: where each slice begins; the four from a multiple of four on do not overlap.
        d_x: (batch, value).
    """
    d_x[:] = 0
    for window in range(len(d_x)):
        for q in range(0, d_out.shape[2], _TILE):
            n = min(_TILE, d_out.shape[2] - q)
            for m in range(0, len(starts), 4):
                sums = _slices(d_x[window], starts, m, q, n)
                for c in range(0, d_out.shape[1], 4):
                    _add(_rows(d_out[window, c : c + 4], q, n), weight[m : m + 4, c : c + 4], sums)


@compiled("(float32[:,::1], float32[:,:,::1], int64[::1], float32[:,::1], float32[::1])")
def convolve_back_to_weight(x, d_out, starts, d_weight, d_bias):
    """The gradients by ``weight`` and ``bias`` of ``convolve``, added to what is there."""
    for window in range(len(x)):
        for q in range(0, d_out.shape[2], _TILE):
            for c in range(0, len(d_bias), 4):
                d_four = d_out[window, c : c + 4]
                _convolve_back_to_weight(x[window], d_four, starts, d_weight[c : c + 4], d_bias[c : c + 4], q)


@njit(inline="always")
def _exp(x):
    """e^x of x in [-87, 20], to rounding.

    Source: Moshier, Cephes Mathematical Library, ``expf``.
    """
    n = np.floor(x * _f(1.44269504) + _f(0.5))
    x = x - n * _f(0.693359375) + n * _f(2.12194440e-4)
    p = _f(1.9875691500e-4) * x + _f(1.3981999507e-3)
    p = p * x + _f(8.3334519073e-3)
    p = p * x + _f(4.1665795894e-2)
    p = p * x + _f(1.6666665459e-1)
    p = p * x + _f(5.0000001201e-1)
    p = p * x * x + x + _f(1)
    return p * np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)  # times 2^n


@njit(inline="always")
def _mish(z):
    """Mish, and what its derivative is made of.

    With e = e^z and n = e (e + 2), tanh(softplus(z)) is n / (n + 2): one exponential and one division.
    """
    z = _LEAST if z < _LEAST else z  # noqa: FURB136 - a NaN stays one
    bounded = min(z, _MOST)
    e = _exp(bounded)
    n = e * (e + _f(2))
    inverse = _f(1) / (n + _f(2))
    return z if z > _MOST else z * (n * inverse), bounded, e, inverse


@njit(inline="always")
def _derivative(z, e, inverse):
    return (e * inverse) * ((_f(4) * (z + _f(1)) + e * (e * (e + _f(4)) + _f(4) * z + _f(6))) * inverse)


@inner
def _total(columns):
    """The sum of float32 numbers, in float64."""
    total = 0.0
    for i in range(columns.size):
        total += columns[i]
    return total


@inner
def _moments(x, eps):
    """Mean and 1 / standard deviation of some rows. A column's sum is in float32, that of the columns in float64."""
    columns = np.zeros(x.shape[2], _f)
    total = squares = 0.0
    for row in range(x.shape[0]):
        columns[:] = 0
        for frame in range(x.shape[1]):
            values = x[row, frame]
            for i in range(columns.size):
                columns[i] += values[i]
        total += _total(columns)
    mean = _f(total / x.size)
    for row in range(x.shape[0]):
        columns[:] = 0
        for frame in range(x.shape[1]):
            values = x[row, frame]
            for i in range(columns.size):
                columns[i] += (values[i] - mean) * (values[i] - mean)
        squares += _total(columns)
    return mean, _f(1 / np.sqrt(squares / x.size + eps))


@inner
def _mish_of_pairs(x, scale, shift, out, derivative, first):
    for frame in range(out.shape[0]):
        for i in range(x.shape[1]):
            even, even_z, even_e, even_inverse = _mish(x[2 * frame, i] * scale + shift)
            odd, odd_z, odd_e, odd_inverse = _mish(x[2 * frame + 1, i] * scale + shift)
            earlier = (even >= odd) | (even != even)  # of two that are the same the earlier, as in torch; or the NaN
            z = even_z if earlier else odd_z
            e = even_e if earlier else odd_e
            inverse = even_inverse if earlier else odd_inverse
            out[frame, i] = even if earlier else odd
            derivative[frame, i] = _derivative(z, e, inverse)
            first[frame, i] = np.uint8(1) if earlier else np.uint8(0)


@inner
def _mish_of_each(x, scale, shift, out, derivative):
    for frame in range(x.shape[0]):
        for i in range(x.shape[1]):
            value, z, e, inverse = _mish(x[frame, i] * scale + shift)
            out[frame, i] = value
            derivative[frame, i] = _derivative(z, e, inverse)


@inner
def _drop(draws, least, kept, out, derivative):
    for frame in range(out.shape[0]):
        for i in range(out.shape[1]):
            factor = kept if draws[frame, i] >= least else _f(0)
            out[frame, i] *= factor
            derivative[frame, i] *= factor


@inner
def _mish_pool(x, first_row, weight, bias, mean, rstd, pooled, draws, least, kept, out, derivative, first):
    """``mish_pool`` of the rows that share a mean: ``x`` is those alone, the others' begin at ``first_row``."""
    for i in range(len(x)):
        row, channel = first_row + i, (first_row + i) % len(weight)
        scale = weight[channel] * rstd
        shift = bias[channel] - mean * scale
        if pooled:
            _mish_of_pairs(x[i], scale, shift, out[row], derivative[row], first[row])
        else:
            _mish_of_each(x[i], scale, shift, out[row], derivative[row])
        if draws.size:
            _drop(draws[row], least, kept, out[row], derivative[row])


@compiled(
    "(float32[:,:,::1], float32[::1], float32[::1], float64, boolean, boolean, int16[:,:,::1], int32, float32,"
    " float32[:,:,::1], float32[:,:,::1], uint8[:,:,::1], float32[::1], float32[::1])"
)
def mish_pool(x, weight, bias, eps, normalised, pooled, draws, least, kept, out, derivative, first, means, rstds):
    """Normalisation, Mish, pooling and dropout.

    Args:
        x: rows, each a channel of a window: (batch * channel, frame, coefficient).
        weight: of each channel, by which the normalised values are multiplied.
        bias: of each channel, added after that.
        eps: added to the variance.
        normalised: whether ``means`` and ``rstds`` are to be found first; else they are as they come.
        pooled: whether of every two frames the larger is taken; an odd last one is dropped.
        draws: of dropout, of the shape of ``out``; of size 0 where nothing is dropped.
        least: an element is kept where its draw is no less,
        kept: and then multiplied by this.
        out: (batch * channel, frame, coefficient); written.
        derivative: of ``out`` by the normalised value that pooling chose; written.
        first: 1 where pooling chose the earlier of two, else 0; written where pooled.
        means: of each group, rows of one window that follow each other; written where normalised.
        rstds: 1 / standard deviation, likewise.
    """
    n_each = len(x) // len(means)
    for group in range(len(means)):
        row, rows = group * n_each, x[group * n_each : (group + 1) * n_each]
        if normalised:
            means[group], rstds[group] = _moments(rows, eps)
        mean, rstd = means[group], rstds[group]
        _mish_pool(rows, row, weight, bias, mean, rstd, pooled, draws, least, kept, out, derivative, first)


@compiled(
    "(float32[:,::1], float32[:,::1], float32[::1], int64[::1], float32[::1], float32[::1], float64, boolean,"
    " int64, int16[:,:,::1], int32, float32, float32[:,:,::1], float32[:,:,::1], uint8[:,:,::1], float32[::1],"
    " float32[::1])"
)
def block(
    x,
    weight,
    bias,
    starts,
    scale,
    shift,
    eps,
    pooled,
    n_frames,
    draws,
    least,
    kept,
    out,
    derivative,
    first,
    means,
    rstds,
):
    """``mish_pool`` of ``convolve``, of whose ``n_frames`` frames no more than four channels are held at once.

    ``scale`` and ``shift`` are the normalisation's weight and bias. A group is one, two or four channels.
    """
    four = np.empty((4, n_frames, out.shape[2]), _f)
    n_each = len(out) // len(means)
    for window in range(len(x)):
        for c in range(0, len(bias), 4):
            _convolve_all(x[window], weight[c : c + 4], bias[c : c + 4], starts, four.reshape(4, -1))
            for i in range(0, 4, n_each):
                row, rows = window * len(bias) + c + i, four[i : i + n_each]
                mean, rstd = _moments(rows, eps)
                means[row // n_each], rstds[row // n_each] = mean, rstd
                _mish_pool(rows, row, scale, shift, mean, rstd, pooled, draws, least, kept, out, derivative, first)


@inner
def _sums_of_pairs(x, derivative, first, d_out):
    """Sums of the gradient by the normalised values, and of that times each value."""
    by_shift, by_scale = np.zeros(x.shape[1], _f), np.zeros(x.shape[1], _f)
    for frame in range(d_out.shape[0]):
        evens, odds, slopes, chosen, back = (
            x[2 * frame],
            x[2 * frame + 1],
            derivative[frame],
            first[frame],
            d_out[frame],
        )
        for i in range(by_shift.size):
            d_z, is_first = slopes[i] * back[i], _f(chosen[i])
            by_shift[i] += d_z
            by_scale[i] += d_z * (evens[i] * is_first + odds[i] * (_f(1) - is_first))
    return _total(by_shift), _total(by_scale)


@inner
def _sums_of_each(x, derivative, d_out):
    by_shift, by_scale = np.zeros(x.shape[1], _f), np.zeros(x.shape[1], _f)
    for frame in range(x.shape[0]):
        values, slopes, back = x[frame], derivative[frame], d_out[frame]
        for i in range(by_shift.size):
            d_z = slopes[i] * back[i]
            by_shift[i] += d_z
            by_scale[i] += d_z * values[i]
    return _total(by_shift), _total(by_scale)


@inner
def _back_to_pairs(x, scale, slope, offset, derivative, first, d_out, d_x):
    for frame in range(d_out.shape[0]):
        for i in range(x.shape[1]):
            d_chosen = derivative[frame, i] * d_out[frame, i] * scale
            d_even = d_chosen * _f(first[frame, i])
            d_x[2 * frame, i] = x[2 * frame, i] * slope + offset + d_even
            d_x[2 * frame + 1, i] = x[2 * frame + 1, i] * slope + offset + (d_chosen - d_even)
    for frame in range(2 * d_out.shape[0], x.shape[0]):
        for i in range(x.shape[1]):
            d_x[frame, i] = x[frame, i] * slope + offset


@inner
def _back_to_each(x, scale, slope, offset, derivative, d_out, d_x):
    for frame in range(x.shape[0]):
        for i in range(x.shape[1]):
            d_z = derivative[frame, i] * d_out[frame, i]
            d_x[frame, i] = x[frame, i] * slope + offset + d_z * scale


@inner
def _mish_pool_back(
    x, first_row, weight, mean, rstd, normalised, pooled, derivative, first, d_out, d_x, d_weight, d_bias
):
    """``mish_pool_back`` of the rows that share a mean: ``x`` and ``d_x`` are those alone."""
    by_scale = by_shift = 0.0
    for i in range(len(x)):
        row, channel = first_row + i, (first_row + i) % len(weight)
        if pooled:
            sums = _sums_of_pairs(x[i], derivative[row], first[row], d_out[row])
        else:
            sums = _sums_of_each(x[i], derivative[row], d_out[row])
        d_bias[row], d_weight[row] = sums[0], (sums[1] - mean * sums[0]) * rstd
        by_shift += weight[channel] * d_bias[row]
        by_scale += weight[channel] * d_weight[row]
    slope = -_f(rstd * rstd * by_scale / x.size) if normalised else _f(0)
    offset = -_f(slope * mean + rstd * by_shift / x.size) if normalised else _f(0)
    for i in range(len(x)):
        row, scale = first_row + i, weight[(first_row + i) % len(weight)] * rstd
        if pooled:
            _back_to_pairs(x[i], scale, slope, offset, derivative[row], first[row], d_out[row], d_x[i])
        else:
            _back_to_each(x[i], scale, slope, offset, derivative[row], d_out[row], d_x[i])


@compiled(
    "(float32[:,:,::1], float32[::1], boolean, boolean, float32[:,:,::1], uint8[:,:,::1], float32[::1], float32[::1],"
    " float32[:,:,::1], float32[:,:,::1], float32[::1], float32[::1])"
)
def mish_pool_back(x, weight, normalised, pooled, derivative, first, means, rstds, d_out, d_x, d_weight, d_bias):
    """The gradients by ``x``, ``weight`` and ``bias`` of ``mish_pool``, the latter two of each row; written."""
    n_each = len(x) // len(means)
    for group in range(len(means)):
        row, rows = group * n_each, slice(group * n_each, (group + 1) * n_each)
        mean, rstd, made = means[group], rstds[group], (derivative, first)
        _mish_pool_back(x[rows], row, weight, mean, rstd, normalised, pooled, *made, d_out, d_x[rows], d_weight, d_bias)


@compiled(
    "(float32[:,::1], float32[:,::1], float32[::1], int64[::1], float32[::1], boolean, int64, float32[:,:,::1],"
    " uint8[:,:,::1], float32[::1], float32[::1], float32[:,:,::1], float32[:,::1], float32[::1], float32[::1],"
    " float32[::1])"
)
def block_back(
    x,
    weight,
    bias,
    starts,
    scale,
    pooled,
    n_frames,
    derivative,
    first,
    means,
    rstds,
    d_out,
    d_weight,
    d_bias,
    d_scale,
    d_shift,
):
    """The gradients of ``block`` by ``weight`` and ``bias``, added; by ``scale`` and ``shift``, of each row, written.

    The convolution is computed again: seven products an element cost less than to write it and read it.
    """
    four = np.empty((4, n_frames, d_out.shape[2]), _f)
    d_four, n_each = np.empty_like(four), len(d_out) // len(means)
    for window in range(len(x)):
        for c in range(0, len(bias), 4):
            _convolve_all(x[window], weight[c : c + 4], bias[c : c + 4], starts, four.reshape(4, -1))
            for i in range(0, 4, n_each):
                row, rows = window * len(bias) + c + i, slice(i, i + n_each)
                mean, rstd, made = means[row // n_each], rstds[row // n_each], (derivative, first)
                _mish_pool_back(
                    four[rows], row, scale, mean, rstd, True, pooled, *made, d_out, d_four[rows], d_scale, d_shift
                )
            d_flat = d_four.reshape(4, -1)
            for q in range(0, d_flat.shape[1], _TILE):
                _convolve_back_to_weight(x[window], d_flat, starts, d_weight[c : c + 4], d_bias[c : c + 4], q)
