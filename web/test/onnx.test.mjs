// onnx.test.mjs - networks that we export, run by ONNX Runtime, and networks as others write them
// (onnx_foreign.mjs), run by both: outputs within 1e-5 of each other (absolute, or relative where over
// 1). tests/onnx/test_onnx writes files, inputs and our outputs; together they use every operator of
// inference. Skipped where it is not built; FLYWHEEL_BUILD names the build folder.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';
import { cases, Graph, refusals } from './onnx_foreign.mjs';

const build =
  process.env.FLYWHEEL_BUILD ?? fileURLToPath(new URL('../../build/release', import.meta.url));
const program = join(build, 'tests/test_onnx');
const skip = existsSync(program) ? false : 'the tests are not built';

const tensor = ({ type, dims, data }) =>
  new ort.Tensor(type, type === 'int32' ? Int32Array.from(data) : Float32Array.from(data), dims);

const open = (file) =>
  ort.InferenceSession.create(file, { intraOpNumThreads: 1, logSeverityLevel: 4 });

const close = (name, got, wanted) => {
  let worst = 0;
  assert.equal(got.length, wanted.length, name);
  for (let i = 0; i < wanted.length; i++) {
    const error = Math.abs(Number(got[i]) - wanted[i]) / Math.max(1, Math.abs(wanted[i]));
    worst = error <= worst ? worst : error;
  }
  assert.ok(worst <= 1e-5, `${name}: off by ${worst}`);
};

const temporary = (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fw-onnx-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
};

test('ONNX Runtime computes what we compute', { skip }, async (t) => {
  const folder = temporary(t);
  execFileSync(program, [folder]);
  const names = readdirSync(folder).filter((n) => n.endsWith('.onnx'));
  assert.ok(names.length >= 10);
  for (const file of names)
    await t.test(file, async () => {
      const wanted = JSON.parse(readFileSync(join(folder, file.replace('.onnx', '.json'))));
      const session = await open(join(folder, file));
      const feeds = {};
      for (const [name, value] of Object.entries(wanted.inputs)) feeds[name] = tensor(value);
      const results = await session.run(feeds);
      for (const [name, value] of Object.entries(wanted.outputs)) {
        assert.deepEqual([...results[name].dims], value.dims, name);
        close(name, results[name].data, value.data);
      }
    });
});

// Arrays with axis `from` moved to `to`.
const moved = (data, dims, from, to) => {
  const order = dims.map((_, i) => i);
  order.splice(to, 0, order.splice(from, 1)[0]);
  const strides = dims.map((_, i) => dims.slice(i + 1).reduce((a, b) => a * b, 1));
  const out = order.map((i) => dims[i]);
  const place = (n) => {
    let at = 0;
    for (let i = out.length - 1; i >= 0; n = Math.floor(n / out[i--])) at += (n % out[i]) * strides[order[i]];
    return at;
  };
  return { dims: out, data: Array.from(data, (_, n) => data[place(n)]) };
};

// Our inputs as the file has them: their batch on its axis, and axes of one that ours lacks.
const fed = ({ axis, type }, ours, dims) => {
  const own = dims.filter((d, i) => i !== axis);
  const { data } = moved(ours.data, [3, ...own], 0, axis);
  const array = type === 7 ? BigInt64Array.from(data, BigInt) : Float32Array.from(data);
  return new ort.Tensor(type === 7 ? 'int64' : 'float32', array, dims.map((d, i) => (i === axis ? 3 : d)));
};

test('networks as others write them', { skip }, async (t) => {
  const folder = temporary(t);
  for (const [name, build] of Object.entries(cases))
    for (const batch of ['N', 3])
      await t.test(`${name}, ${batch === 'N' ? 'open' : 'fixed'}`, async () => {
        const g = new Graph(batch), file = join(folder, `${name}.onnx`);
        const dims = {}, input = g.input;
        g.input = (n, d, type) => ((dims[n] = d), input.call(g, n, d, type));
        build(g);
        writeFileSync(file, g.bytes());
        execFileSync(program, [file], { stdio: 'pipe' });
        const ours = JSON.parse(readFileSync(`${file}.json`));
        const feeds = {};
        for (const [n, info] of Object.entries(g.inputs)) feeds[n] = fed(info, ours.inputs[n], dims[n]);
        const results = await (await open(file)).run(feeds);
        for (const [n, axis] of Object.entries(g.outputs)) {
          const theirs = moved(results[n].data, [...results[n].dims], axis, 0);
          close(n, ours.outputs[n].data, theirs.data);
        }
      });
});

test('what is not read is named', { skip }, (t) => {
  const folder = temporary(t), file = join(folder, 'refused.onnx');
  for (const [where, [why, build]] of Object.entries(refusals)) {
    const g = new Graph('N');
    build(g);
    writeFileSync(file, g.bytes());
    assert.throws(() => execFileSync(program, [file], { stdio: 'pipe' }), (error) => {
      const said = String(error.stderr);
      assert.ok(said.includes(where) && said.includes(why), said);
      return true;
    });
  }
});

// ONNX Runtime does not run layout 1 on CPUs: ours is held against our layout 0.
test('recurrent networks with the batch first', { skip }, (t) => {
  const folder = temporary(t);
  for (const op of ['LSTM', 'GRU']) {
    const results = [0, 1].map((layout) => {
      const g = new Graph('N'), file = join(folder, `${op}${layout}.onnx`);
      const x = g.input('x', ['N', 6, 3]), rows = op === 'LSTM' ? 16 : 12;
      const weights = [g.weight(1, rows, 3), g.weight(1, rows, 4), g.weight(1, 2 * rows)];
      const first = layout ? x : g.node('Transpose', [x], { perm: [1, 0, 2] });
      g.nodes(op, [first, ...weights], ['s', 'h'], { hidden_size: 4, linear_before_reset: 1, layout });
      const all = g.node('Squeeze', ['s', g.ints(layout ? 2 : 1)]);
      g.give(layout ? all : g.node('Transpose', [all], { perm: [1, 0, 2] }), 3);
      g.give(g.node('Squeeze', ['h', g.ints(layout ? 1 : 0)]), 2, 0, 'last');
      writeFileSync(file, g.bytes());
      execFileSync(program, [file], { stdio: 'pipe' });
      return JSON.parse(readFileSync(`${file}.json`));
    });
    assert.deepEqual(results[1].outputs, results[0].outputs);
  }
});
