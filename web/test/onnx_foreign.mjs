// onnx_foreign.mjs - networks as other exporters write them, made here from nothing: a writer of ONNX's
// wire format, and a list of cases that onnx.test.mjs runs through ONNX Runtime and through us.
//
//   case   (g) => graph with inputs, nodes and outputs; 'N' in dims is the open batch
//   fixed  the same with 3 in its place, as exporters write it without dynamic axes

// ---- the wire format ----

const encode = new TextEncoder();
const varint = (value) => {
  const out = [];
  let v = BigInt.asUintN(64, BigInt(value));
  for (; v >= 128n; v >>= 7n) out.push(Number(v & 127n) | 128);
  return [...out, Number(v)];
};
const number = (field, value) => [...varint(field << 3), ...varint(value)];
const float = (field, value) => [...varint((field << 3) | 5), ...bytesOf(Float32Array.of(value))];
const bytes = (field, data) => [...varint((field << 3) | 2), ...varint(data.length), ...data];
const text = (field, words) => bytes(field, encode.encode(words));
const bytesOf = (array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

const FLOAT = 1, INT64 = 7, BOOL = 9;
const tensor = (name, { dims, data, type }) => [
  ...dims.flatMap((d) => number(1, d)),
  ...number(2, type ?? FLOAT),
  ...text(8, name),
  ...bytes(9, bytesOf(type === INT64 ? BigInt64Array.from(data, BigInt)
    : type === BOOL ? Uint8Array.from(data) : Float32Array.from(data))),
];
const attribute = (name, value) => {
  const out = text(1, name);
  if (typeof value === 'string') return [...out, ...bytes(4, encode.encode(value)), ...number(20, 3)];
  if (Array.isArray(value)) return [...out, ...value.flatMap((v) => number(8, v)), ...number(20, 7)];
  if (value.data) return [...out, ...bytes(5, tensor('', value)), ...number(20, 4)];
  if (value.float !== undefined) return [...out, ...float(2, value.float), ...number(20, 1)];
  return [...out, ...number(3, value), ...number(20, 2)];
};
const valueInfo = (name, dims, type) => {
  const shape = dims.flatMap((d) => bytes(1, typeof d === 'string' ? text(2, d) : number(1, d)));
  return [...text(1, name), ...bytes(2, bytes(1, [...number(1, type), ...bytes(2, shape)]))];
};

export const f = (value) => ({ float: value });

// ---- graphs ----

export class Graph {
  constructor(batch, opset = 17) {
    this.batch = batch; // 'N', or a number
    this.opset = opset;
    this.parts = [];
    this.inputs = {};
    this.outputs = {};
    this.made = 0;
    this.seed = 1;
  }
  random(count) {
    return Array.from({ length: count }, () => {
      this.seed = (this.seed * 48271) % 2147483647;
      return (this.seed / 2147483647 - 0.5) * 1.4;
    });
  }
  input(name, dims, type = FLOAT) {
    const own = dims.map((d) => (d === 'N' ? this.batch : d));
    this.inputs[name] = { axis: dims.indexOf('N'), type };
    this.parts.push(...bytes(11, valueInfo(name, own, type)));
    return name;
  }
  weight(...dims) {
    return this.constant(dims, this.random(dims.reduce((a, b) => a * b, 1)));
  }
  positive(...dims) {
    return this.constant(dims, this.random(dims.reduce((a, b) => a * b, 1)).map((v) => 1 + v * v));
  }
  constant(dims, data, type = FLOAT) {
    const name = `w${this.made++}`;
    this.parts.push(...bytes(5, tensor(name, { dims, data, type })));
    return name;
  }
  ints(...data) {
    return this.constant([data.length], data, INT64);
  }
  scalar(value) { // a Constant node, as PyTorch writes it
    return this.node('Constant', [], { value: { dims: [], data: [value] } });
  }
  int(value) {
    return this.node('Constant', [], { value: { dims: [], data: [value], type: INT64 } });
  }
  nodes(op, inputs, outputs, attributes = {}, domain) {
    this.parts.push(...bytes(1, [
      ...inputs.flatMap((i) => text(1, i)),
      ...outputs.flatMap((o) => text(2, o)),
      ...text(3, `/${op}_${this.made++}`),
      ...text(4, op),
      ...Object.entries(attributes).flatMap(([k, v]) => bytes(5, attribute(k, v))),
      ...(domain ? text(7, domain) : []),
    ]));
    return outputs;
  }
  node(op, inputs, attributes) {
    return this.nodes(op, inputs, [`v${this.made++}`], attributes)[0];
  }
  output(name, rank, axis = 0) {
    this.outputs[name] = axis;
    this.parts.push(...bytes(12, valueInfo(name, Array(rank).fill('any'), FLOAT)));
  }
  // an output at the end of a chain, under a name of its own
  give(value, rank, axis = 0, name = 'y') {
    this.nodes('Identity', [value], [name]);
    this.output(name, rank, axis);
  }
  // size of an axis of x, as the exporter asks for it
  size(x, axis) {
    return this.node('Gather', [this.node('Shape', [x]), this.int(axis)], { axis: 0 });
  }
  // a shape of numbers and of sizes
  shape(...sizes) {
    const parts = sizes.map((s) => (typeof s === 'number' ? this.ints(s)
      : this.node('Unsqueeze', [s, this.ints(0)])));
    return this.node('Concat', parts, { axis: 0 });
  }
  bytes() {
    return Uint8Array.from([
      ...number(1, 8), ...bytes(8, [...text(1, ''), ...number(2, this.opset)]),
      ...bytes(7, [...this.parts, ...text(2, 'foreign')]),
    ]);
  }
}

// ---- pieces ----

const linear = (g, x, wide, out) => g.node('Add', [g.weight(out), g.node('MatMul', [x, g.weight(wide, out)])]);
const transpose = (g, x, ...perm) => g.node('Transpose', [x], { perm });
const mean = (g, x, ...axes) => g.node('ReduceMean', [x], { axes });
const layerNorm = (g, x, wide) => {
  const d = g.node('Sub', [x, mean(g, x, -1)]);
  const v = mean(g, g.node('Pow', [d, g.scalar(2)]), -1);
  const n = g.node('Div', [d, g.node('Sqrt', [g.node('Add', [v, g.scalar(1e-5)])])]);
  return g.node('Add', [g.node('Mul', [n, g.weight(wide)]), g.weight(wide)]);
};
// (N, T, H*D) -> (N, H, T, D)
const heads = (g, x, t, count, depth) =>
  transpose(g, g.node('Reshape', [x, g.shape(g.size(x, 0), t, count, depth)]), 0, 2, 1, 3);
const merged = (g, x, t, wide) =>
  g.node('Reshape', [transpose(g, x, 0, 2, 1, 3), g.shape(g.size(x, 0), t, wide)]);
const triangle = (t, s) => Array.from({ length: t * s }, (_, i) => (i % s <= Math.floor(i / s) + s - t ? 1 : 0));
const zeros = (g, x, wide) => g.node('ConstantOfShape', [g.shape(1, g.size(x, 0), wide)]);

// scores of (N, H, T, D) against (N, H, S, D)
const scores = (g, q, k) => g.node('MatMul', [q, transpose(g, k, 0, 1, 3, 2)]);
const attend = (g, s, v) => g.node('MatMul', [g.node('Softmax', [s], { axis: -1 }), v]);

const three = (g, t = 5, wide = 8, count = 2) => {
  const x = g.input('x', ['N', t, wide]);
  return [1, 2, 3].map(() => heads(g, linear(g, x, wide, wide), t, count, wide / count));
};

// ---- the cases ----

export const cases = {
  gemm(g) {
    const x = g.input('x', ['N', 5]);
    let y = g.node('Gemm', [x, g.weight(5, 4), g.weight(1, 4)], { alpha: f(0.5), beta: f(2) });
    y = g.node('Gemm', [g.node('Tanh', [y]), g.weight(6, 4), g.weight(1)], { transB: 1 });
    y = g.node('Gemm', [g.node('LeakyRelu', [y], { alpha: f(0.2) }), g.weight(6, 3)]);
    g.give(linear(g, y, 3, 4), 2);
  },
  matmul_from_the_left(g) {
    const x = g.input('x', ['N', 4, 6]);
    g.give(g.node('MatMul', [g.weight(5, 4), g.node('MatMul', [x, g.weight(1, 6, 3)])]), 3);
  },
  activations(g) {
    const x = g.input('x', ['N', 9]);
    const twice = (op, a) => g.node(op, [a, a]);
    const half = g.node('Mul', [g.scalar(0.5), x]);
    const cube = g.node('Mul', [g.scalar(0.044715), g.node('Pow', [x, g.scalar(3)])]);
    const inner = g.node('Mul', [g.scalar(0.7978845608), g.node('Add', [x, cube])]);
    g.give(g.node('Mul', [half, g.node('Add', [g.scalar(1), g.node('Tanh', [inner])])]), 2, 0, 'gelu1');
    const square = g.node('Mul', [twice('Mul', x), g.scalar(0.044715)]);
    const other = g.node('Mul', [g.node('Mul', [x, g.scalar(0.7978845608)]), g.node('Add', [square, g.scalar(1)])]);
    const up = g.node('Mul', [g.node('Add', [g.node('Tanh', [other]), g.scalar(1)]), g.scalar(0.5)]);
    g.give(g.node('Mul', [x, up]), 2, 0, 'gelu2');
    const erf = g.node('Erf', [g.node('Div', [x, g.scalar(Math.SQRT2)])]);
    g.give(g.node('Mul', [g.node('Mul', [x, g.node('Add', [erf, g.scalar(1)])]), g.scalar(0.5)]), 2, 0, 'exact');
    g.give(g.node('Mul', [x, g.node('Sigmoid', [x])]), 2, 0, 'silu');
    g.give(g.node('HardSwish', [x]), 2, 0, 'swish');
    g.give(g.node('HardSigmoid', [x], { alpha: f(0.3), beta: f(0.4) }), 2, 0, 'hard');
    g.give(g.node('Clip', [g.node('Exp', [g.node('Neg', [x])]), g.scalar(0.5), g.scalar(1.5)]), 2, 0, 'clip');
  },
  lstm_batch_first(g) {
    const x = g.input('x', ['N', 7, 4]);
    const all = g.node('ConstantOfShape', [g.shape(2, g.size(x, 0), 5)], { value: { dims: [1], data: [0] } });
    let y = transpose(g, x, 1, 0, 2), wide = 4;
    for (const layer of [0, 1]) {
      const state = () => g.node('Slice', [all, g.ints(layer), g.ints(layer + 1), g.ints(0)]);
      const weights = [g.weight(1, 20, wide), g.weight(1, 20, 5), g.weight(1, 40)];
      const out = g.nodes('LSTM', [y, ...weights, '', state(), state()], [`y${layer}`, `h${layer}`, `c${layer}`],
        { hidden_size: 5 });
      y = g.node('Squeeze', [out[0], g.ints(1)]);
      wide = 5;
    }
    y = transpose(g, y, 1, 0, 2);
    g.give(g.node('Gemm', [g.node('Gather', [y, g.int(-1)], { axis: 1 }), g.weight(3, 5)], { transB: 1 }), 2);
    g.give(g.node('Squeeze', ['h1', g.ints(0)]), 2, 0, 'h');
  },
  lstm_time_first(g) {
    const x = g.input('x', [6, 'N', 3]);
    const states = [g.input('h0', [1, 'N', 4]), g.input('c0', [1, 'N', 4])];
    g.nodes('LSTM', [x, g.weight(1, 16, 3), g.weight(1, 16, 4), '', '', ...states], ['y', 'h', 'c'], { hidden_size: 4 });
    g.output('y', 4, 2);
    g.output('h', 3, 1);
    g.output('c', 3, 1);
  },
  lstm_learned_state(g) {
    const x = g.input('x', [6, 'N', 3]);
    const state = g.node('Expand', [g.weight(1, 1, 4), g.shape(1, g.size(x, 1), 4)]);
    const w = [g.weight(1, 16, 3), g.weight(1, 16, 4), g.weight(1, 32)];
    g.nodes('LSTM', [x, ...w, '', state], ['y', 'h', 'c'], { hidden_size: 4 });
    g.output('h', 3, 1);
  },
  gru(g) {
    const x = g.input('x', ['N', 6, 3]);
    const w = [g.weight(1, 12, 3), g.weight(1, 12, 4), g.weight(1, 24)];
    g.nodes('GRU', [transpose(g, x, 1, 0, 2), ...w, '', zeros(g, x, 4)], ['s', 'h'],
      { hidden_size: 4, linear_before_reset: 1, direction: 'forward' });
    g.give(transpose(g, g.node('Squeeze', ['s', g.ints(1)]), 1, 0, 2), 3);
    g.give(g.node('Squeeze', ['h', g.ints(0)]), 2, 0, 'last');
  },
  conv(g) {
    const x = g.input('x', ['N', 4, 9, 8]);
    const conv = (a, b, extra) => g.node('Conv', [x, g.weight(...a), g.weight(a[0])], extra);
    g.give(conv([6, 4, 3, 3], 6, { auto_pad: 'SAME_UPPER', strides: [2, 2] }), 4, 0, 'upper');
    g.give(conv([6, 4, 2, 4], 6, { auto_pad: 'SAME_LOWER', kernel_shape: [2, 4] }), 4, 0, 'lower');
    g.give(conv([6, 4, 3, 2], 6, { auto_pad: 'VALID', strides: [1, 3] }), 4, 0, 'valid');
    g.give(conv([6, 4, 3, 3], 6, { pads: [0, 1, 2, 0], strides: [2, 1] }), 4, 0, 'uneven');
    g.give(conv([6, 4, 3, 3], 6, { pads: [2, 0, 0, 1] }), 4, 0, 'front');
    g.give(conv([8, 2, 3, 2], 8, { group: 2, dilations: [2, 3], pads: [2, 1, 2, 1] }), 4, 0, 'dilated');
    g.give(conv([8, 1, 3, 3], 8, { group: 4, dilations: [1, 1] }), 4, 0, 'depthwise');
  },
  conv1d(g) {
    const x = g.input('x', ['N', 4, 21]);
    let y = g.node('Conv', [x, g.weight(6, 4, 5), g.weight(6)], { strides: [2], pads: [2, 2] });
    y = g.node('MaxPool', [g.node('Relu', [y])], { kernel_shape: [2], strides: [2] });
    y = g.node('Conv', [y, g.weight(6, 3, 3)], { group: 2, dilations: [2], pads: [1, 3] });
    g.give(y, 3);
    g.give(g.node('AveragePool', [y], { kernel_shape: [3], pads: [1, 1], count_include_pad: 1 }), 3, 0, 'mean');
    g.give(g.node('GlobalAveragePool', [y]), 3, 0, 'all');
  },
  pools(g) {
    const x = g.input('x', ['N', 3, 10, 9]);
    const pool = (name, op, more) => g.give(g.node(op, [x], { kernel_shape: [3, 3], ...more }), 4, 0, name);
    pool('max', 'MaxPool', { strides: [2, 2], pads: [1, 1, 1, 1] });
    pool('max_up', 'MaxPool', { strides: [2, 2], pads: [1, 1, 1, 1], ceil_mode: 1 });
    pool('max_up2', 'MaxPool', { strides: [2, 2], ceil_mode: 1 });
    pool('max_uneven', 'MaxPool', { pads: [0, 2, 1, 0] });
    pool('max_same', 'MaxPool', { auto_pad: 'SAME_UPPER', strides: [2, 2] });
    pool('mean', 'AveragePool', { strides: [2, 1], pads: [1, 1, 1, 1] });
    pool('mean_all', 'AveragePool', { strides: [2, 1], pads: [1, 1, 1, 1], count_include_pad: 1 });
    pool('mean_up', 'AveragePool', { strides: [2, 2], ceil_mode: 1 });
    pool('mean_uneven', 'AveragePool', { pads: [0, 1, 2, 1] });
    g.give(g.node('GlobalMaxPool', [x]), 4, 0, 'top');
  },
  pad(g) {
    const x = g.input('x', ['N', 3, 10, 9]);
    const padded = g.node('Pad', [x, g.ints(0, 0, 1, 2, 0, 0, 3, 0)], { mode: 'constant' });
    g.give(padded, 4, 0, 'padded'); // an output of its own keeps ONNX Runtime from merging it with the pool
    g.give(g.node('AveragePool', [padded], { kernel_shape: [4, 4], strides: [2, 2] }), 4, 0, 'pooled');
  },
  batch_norm(g) {
    const norm = (x, c) => g.node('BatchNormalization', [x, g.weight(c), g.weight(c), g.weight(c), g.positive(c)],
      { epsilon: f(1e-3) });
    const x = g.input('x', ['N', 3, 6, 5]);
    const folded = norm(g.node('Conv', [x, g.weight(4, 3, 3, 3), g.weight(4)]), 4);
    const without = norm(g.node('Conv', [norm(g.node('Relu', [folded]), 4), g.weight(4, 1, 2, 2)], { group: 4 }), 4);
    g.give(without, 4);
    g.give(norm(g.node('Flatten', [g.node('GlobalAveragePool', [without])]), 4), 2, 0, 'flat');
    const line = g.node('Reshape', [folded, g.ints(0, 0, -1)]);
    g.give(norm(line, 4), 3, 0, 'line');
  },
  norms(g) {
    const x = g.input('x', ['N', 5, 8]);
    g.give(layerNorm(g, x, 8), 3, 0, 'layer');
    g.give(g.node('LayerNormalization', [x, g.weight(8), g.weight(8)], { axis: -1, epsilon: f(1e-4) }), 3, 0, 'op');
    const root = (keep) => g.node('Sqrt', [g.node('Add', [mean(g, keep, -1), g.scalar(1e-6)])]);
    const square = g.node('Mul', [x, x]);
    const one = g.node('Mul', [x, g.node('Div', [g.scalar(1), root(g.node('Pow', [x, g.scalar(2)]))])]);
    g.give(g.node('Mul', [g.weight(8), one]), 3, 0, 'rms1');
    g.give(g.node('Mul', [g.node('Mul', [g.node('Reciprocal', [root(square)]), x]), g.weight(8)]), 3, 0, 'rms2');
    g.give(g.node('Div', [x, root(square)]), 3, 0, 'rms3');
  },
  embedding(g) {
    const x = g.input('ids11', ['N', 6], INT64);
    const places = g.node('Range', [g.int(0), g.size(x, 1), g.int(1)]);
    const same = g.node('Expand', [g.node('Unsqueeze', [places, g.ints(0)]), g.node('Shape', [x])]);
    const words = g.node('Gather', [g.weight(11, 8), g.node('Cast', [x], { to: INT64 })]);
    const y = g.node('Add', [words, g.node('Gather', [g.weight(9, 8), same])]);
    g.give(g.node('Add', [y, g.node('Gather', [g.weight(9, 8), places])]), 3);
  },
  attention(g) {
    const [q, k, v] = three(g);
    const s = g.node('Div', [scores(g, q, k), g.scalar(2)]);
    g.give(linear(g, merged(g, attend(g, s, v), 5, 8), 8, 8), 3);
  },
  attention_causal(g) {
    const [q, k, v] = three(g);
    const seen = g.constant([1, 1, 7, 7], triangle(7, 7));
    const cut = g.node('Slice', [g.node('Slice', [seen, g.ints(0), g.ints(5), g.ints(2)]), g.ints(0), g.ints(5), g.ints(3)]);
    const hidden = g.node('Cast', [g.node('Equal', [cut, g.scalar(0)])], { to: BOOL });
    const s = g.node('Where', [hidden, g.scalar(-Infinity), g.node('Mul', [scores(g, q, k), g.scalar(0.5)])]);
    g.give(merged(g, attend(g, s, v), 5, 8), 3);
    const full = g.node('ConstantOfShape', [g.shape(g.size(q, 2), g.size(k, 2))], { value: { dims: [1], data: [-1e9] } });
    const above = g.node('Trilu', [full, g.int(1)], { upper: 1 });
    g.give(merged(g, attend(g, g.node('Add', [scores(g, q, k), above]), v), 5, 8), 3, 0, 'added');
    const visible = g.node('Not', [hidden]);
    const kept = g.node('Where', [visible, scores(g, g.node('Mul', [q, g.scalar(0.7)]), g.node('Mul', [k, g.scalar(0.7)])),
      g.scalar(-65504)]);
    g.give(attend(g, kept, v), 4, 0, 'heads');
  },
  attention_masked(g) {
    // an example that sees no key is even there, zeros here: one is always seen
    const x = g.input('x', ['N', 5, 8]), m = g.input('mask_first', ['N', 5]);
    const [q, k, v] = [1, 2, 3].map(() => heads(g, linear(g, x, 8, 8), 5, 4, 2));
    const wide = g.node('Unsqueeze', [m, g.ints(1, 2)]);
    const added = g.node('Mul', [g.node('Sub', [g.scalar(1), wide]), g.scalar(-1e5)]);
    g.give(attend(g, g.node('Add', [scores(g, q, k), added]), v), 4);
    const hidden = g.node('Equal', [wide, g.scalar(0)]);
    g.give(attend(g, g.node('Where', [hidden, g.scalar(-1e30), scores(g, q, k)]), v), 4, 0, 'where');
  },
  attention_grouped(g) {
    const x = g.input('x', ['N', 5, 8]), batch = g.size(x, 0);
    const q = heads(g, linear(g, x, 8, 8), 5, 4, 2);
    const few = [1, 2].map(() => heads(g, linear(g, x, 8, 4), 5, 2, 2));
    const [k, v] = few.map((y) => {
      const wide = g.node('Expand', [g.node('Unsqueeze', [y, g.ints(2)]), g.shape(batch, 2, 2, 5, 2)]);
      return g.node('Reshape', [wide, g.shape(batch, 4, 5, 2)]);
    });
    g.give(merged(g, attend(g, scores(g, q, k), v), 5, 8), 3);
    const [k1, v1] = [1, 2].map(() => heads(g, linear(g, x, 8, 2), 5, 1, 2));
    g.give(merged(g, attend(g, scores(g, q, k1), v1), 5, 8), 3, 0, 'one');
  },
  attention_time_first(g) {
    const x = g.input('x', [5, 'N', 8]), many = g.node('Mul', [g.size(x, 1), g.int(2)]);
    const all = linear(g, x, 8, 24);
    const [q, k, v] = [0, 8, 16].map((at) => {
      const part = g.node('Slice', [all, g.ints(at), g.ints(at + 8), g.ints(-1)]);
      return transpose(g, g.node('Reshape', [part, g.shape(5, many, 4)]), 1, 0, 2);
    });
    const s = g.node('MatMul', [g.node('Div', [q, g.scalar(2)]), transpose(g, k, 0, 2, 1)]);
    const y = transpose(g, attend(g, s, v), 1, 0, 2);
    const flat = g.node('Reshape', [y, g.shape(g.node('Mul', [g.int(5), g.size(x, 1)]), 8)]);
    const out = g.node('Gemm', [flat, g.weight(8, 8), g.weight(8)], { transB: 1 });
    g.give(g.node('Add', [x, g.node('Reshape', [out, g.shape(5, g.size(x, 1), 8)])]), 3, 1);
  },
  rope(g) {
    const [q, k, v] = three(g, 5, 8, 2);
    const c = g.weight(5, 4), s = g.weight(5, 4);
    const turn = (x) => {
      const end = g.node('Slice', [x, g.ints(2), g.ints('9223372036854775807'), g.ints(3), g.ints(1)]);
      const half = g.node('Concat', [g.node('Neg', [end]), g.node('Slice', [x, g.ints(0), g.ints(2), g.ints(3)])], { axis: -1 });
      return g.node('Add', [g.node('Mul', [x, c]), g.node('Mul', [half, s])]);
    };
    g.give(merged(g, attend(g, scores(g, turn(q), turn(k)), v), 5, 8), 3);
  },
  shapes(g) {
    const x = g.input('x', ['N', 6, 8]);
    const [a, b, c] = g.nodes('Split', [x, g.ints(1, 2, 3)], ['a', 'b', 'c'], { axis: 1 });
    const joined = g.node('Concat', [c, a, b], { axis: 1 });
    g.give(g.node('Reshape', [joined, g.shape(g.size(x, 0), 2, -1)]), 3, 0, 'turned');
    g.give(g.node('Gather', [joined, g.ints(0, 2, 3, -1)], { axis: 1 }), 3, 0, 'picked');
    g.give(g.node('Slice', [x, g.ints(1, -7), g.ints(6, 1000), g.ints(1, 2), g.ints(2, 3)]), 3, 0, 'steps');
    g.give(g.node('Concat', [g.node('Expand', [g.weight(1, 1, 8), g.shape(g.size(x, 0), 1, 8)]), x], { axis: 1 }), 3, 0, 'token');
    g.give(g.node('Flatten', [transpose(g, x, 0, 2, 1)]), 2, 0, 'flat');
    g.give(g.node('Reshape', [transpose(g, x, 0, 2, 1), g.ints(0, 3, 16)]), 3, 0, 'across');
    g.give(g.node('Squeeze', [g.node('Unsqueeze', [x, g.ints(1, 4)]), g.ints(4)]), 4, 0, 'ones');
    const [h, i] = g.nodes('Split', [x], ['h', 'i'], { axis: 2 });
    g.give(g.node('Sub', [g.node('Mul', [h, i]), g.node('Add', [h, i])]), 3, 0, 'halves');
    const again = g.node('Identity', [g.node('Dropout', [x])]);
    g.give(g.node('Concat', Array.from({ length: 10 }, (_, n) => (n % 3 ? x : again)), { axis: 2 }), 3, 0, 'many');
  },
  broadcasts(g) {
    const x = g.input('x', ['N', 3, 4, 5]), w = g.node('GlobalAveragePool', [x]);
    g.give(g.node('Mul', [x, g.node('Sigmoid', [w])]), 4, 0, 'channels');
    g.give(g.node('Sub', [w, x]), 4, 0, 'minus');
    g.give(g.node('Add', [x, g.weight(3, 1, 1)]), 4, 0, 'fixed');
    g.give(g.node('Sub', [g.weight(1, 4, 1), g.node('Div', [x, g.positive(5)])]), 4, 0, 'row');
    const row = g.node('ReduceSum', [x, g.ints(1, 3)], { keepdims: 1 });
    g.give(g.node('Mul', [row, x]), 4, 0, 'middle');
  },
  reductions(g) {
    const x = g.input('x', ['N', 3, 4, 5]);
    g.give(g.node('ReduceMean', [x], { axes: [2, 3], keepdims: 0 }), 2, 0, 'mean');
    g.give(g.node('ReduceSum', [x, g.ints(1)], { keepdims: 0 }), 3, 0, 'sum');
    g.give(g.node('ReduceMax', [x], { axes: [1, -1] }), 4, 0, 'max');
    g.give(g.node('Softmax', [x], { axis: 1 }), 4, 0, 'soft');
    g.give(g.node('Softmax', [x]), 4, 0, 'last');
  },
  where(g) {
    const x = g.input('x', ['N', 6, 4]), m = g.input('mask', ['N', 6]);
    const wide = g.node('Unsqueeze', [m, g.ints(2)]);
    const hidden = g.node('Where', [g.node('Equal', [wide, g.scalar(0)]), g.scalar(-1e9), x]);
    g.give(g.node('ReduceMax', [hidden], { axes: [1], keepdims: 0 }), 2, 0, 'max');
    g.give(g.node('ReduceSum', [g.node('Mul', [x, wide]), g.ints(1)], { keepdims: 0 }), 2, 0, 'sum');
    g.give(g.node('Where', [g.node('Cast', [wide], { to: BOOL }), x, g.scalar(2)]), 3, 0, 'chosen');
  },
  newer(g) {
    g.opset = 20;
    const x = g.input('x', ['N', 4, 6]);
    g.give(g.node('Gelu', [x], { approximate: 'tanh' }), 3, 0, 'tanh');
    g.give(g.node('Gelu', [x]), 3, 0, 'exact');
    g.give(g.node('ReduceMean', [x, g.ints(-1)], { keepdims: 0 }), 2, 0, 'mean');
    const [a, b] = g.nodes('Split', [x], ['a', 'b'], { axis: 2, num_outputs: 2 });
    g.give(g.node('Add', [a, b]), 3, 0, 'halves');
  },
};

// What is refused: by the node's name, its operator, and what of it is not read.
export const refusals = {
  'node /LSTM_': ['direction bidirectional', (g) => {
    const x = g.input('x', [6, 'N', 3]);
    g.nodes('LSTM', [x, g.weight(2, 16, 3), g.weight(2, 16, 4)], ['y'], { hidden_size: 4, direction: 'bidirectional' });
    g.output('y', 4, 2);
  }],
  'node /GRU_': ['linear_before_reset', (g) => {
    const x = g.input('x', [6, 'N', 3]);
    g.nodes('GRU', [x, g.weight(1, 12, 3), g.weight(1, 12, 4)], ['y'], { hidden_size: 4 });
    g.output('y', 4, 2);
  }],
  'node /Resize_': ['the operator is not read', (g) => {
    g.give(g.node('Relu', [g.node('Resize', [g.input('x', ['N', 3, 4, 4]), '', g.constant([4], [1, 1, 2, 2])])]), 4);
  }],
  'node /Softmax_': ['the batch', (g) => g.give(g.node('Softmax', [g.input('x', ['N', 3])], { axis: 0 }), 2)],
  'node /MatMul_': ['within attention alone', (g) => {
    const x = g.input('x', ['N', 3, 3]);
    g.give(g.node('MatMul', [x, x]), 3);
  }],
  'input x': ['axes 0 and 1 are both open', (g) => g.give(g.node('Relu', [g.input('x', ['N', 'sequence', 3])]), 3)],
};
