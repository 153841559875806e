// onnx.test.mjs - networks that we export, run by ONNX Runtime: outputs within 1e-5 of ours (absolute, or
// relative where over 1). tests/onnx/test_onnx writes the files, inputs and our outputs; together they
// use every operator of inference. Skipped where it is not built; FLYWHEEL_BUILD names the build folder.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as ort from 'onnxruntime-node';

const build =
  process.env.FLYWHEEL_BUILD ?? fileURLToPath(new URL('../../build/release', import.meta.url));
const program = join(build, 'tests/test_onnx');
const skip = existsSync(program) ? false : 'the tests are not built';

const tensor = ({ type, dims, data }) =>
  new ort.Tensor(type, type === 'int32' ? Int32Array.from(data) : Float32Array.from(data), dims);

test('ONNX Runtime computes what we compute', { skip }, async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'fw-onnx-'));
  t.after(() => rmSync(folder, { recursive: true }));
  execFileSync(program, [folder]);
  const names = readdirSync(folder).filter((n) => n.endsWith('.onnx'));
  assert.ok(names.length >= 10);
  for (const file of names)
    await t.test(file, async () => {
      const wanted = JSON.parse(readFileSync(join(folder, file.replace('.onnx', '.json'))));
      const session = await ort.InferenceSession.create(join(folder, file), {
        intraOpNumThreads: 1,
        logSeverityLevel: 3,
      });
      const feeds = {};
      for (const [name, value] of Object.entries(wanted.inputs)) feeds[name] = tensor(value);
      const results = await session.run(feeds);
      for (const [name, value] of Object.entries(wanted.outputs)) {
        const got = results[name];
        assert.deepEqual([...got.dims], value.dims, name);
        let worst = 0;
        for (let i = 0; i < value.data.length; i++) {
          const error = Math.abs(Number(got.data[i]) - value.data[i]);
          worst = Math.max(worst, error / Math.max(1, Math.abs(value.data[i])));
        }
        assert.ok(worst <= 1e-5, `${name}: off by ${worst}`);
      }
    });
});
