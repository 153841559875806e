// peer_onnx.mjs - ONNX Runtime beside bench_nn: reads lines "FILE SECONDS" (an ONNX file of one example in
// each run), answers "BEST MEDIAN P99 THREADS", in microseconds, of the better of 1 and 2 threads, until
// its input ends. All graph optimisations; the binding's own session is called, without the promise and
// the turn of the event loop that the package's run() adds.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const require = createRequire(new URL('../web/package.json', import.meta.url));
let Tensor, binding;
try {
  ({ Tensor } = require('onnxruntime-node'));
  ({ binding } = require('onnxruntime-node/dist/binding.js'));
} catch {
  console.error('peer: no onnxruntime-node (npm ci in web/): its columns stay 0');
  process.exit(1);
}

const TOGETHER = 50; // runs of which the mean is taken, as bench_nn does
const sessions = new Map();

function open(file, threads) {
  const key = `${file} ${threads}`;
  if (sessions.has(key)) return sessions.get(key);
  const session = new binding.InferenceSession();
  session.loadModel(file, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    logSeverityLevel: 3,
  });
  sessions.set(key, session);
  return session;
}

function inputOf(file) {
  const dims = file.match(/_((?:\d+x)*\d+)\.onnx$/)[1].split('x').map(Number);
  const data = new Float32Array(dims.reduce((a, b) => a * b, 1));
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i);
  return new Tensor('float32', data, [1, ...dims]);
}

function measure(file, threads, seconds) {
  const session = open(file, threads);
  const feeds = { [session.inputNames[0]]: inputOf(file) };
  const fetches = { [session.outputNames[0]]: null };
  const run = () => session.run(feeds, fetches, {});
  for (let i = 0; i < TOGETHER; i++) run();
  const singles = [];
  let best = Infinity;
  const end = performance.now() + 1000 * seconds;
  do {
    let t = process.hrtime.bigint();
    for (let i = 0; i < TOGETHER; i++) run();
    best = Math.min(best, Number(process.hrtime.bigint() - t) / TOGETHER);
    for (let i = 0; i < TOGETHER; i++) {
      t = process.hrtime.bigint();
      run();
      singles.push(Number(process.hrtime.bigint() - t));
    }
  } while (performance.now() < end);
  singles.sort((a, b) => a - b);
  const at = (share) => singles[Math.floor(share * (singles.length - 1))] / 1000;
  return { best: Math.min(best, singles[0]) / 1000, median: at(0.5), p99: at(0.99), threads };
}

console.log(`ONNX Runtime ${require('onnxruntime-node/package.json').version} in Node ${process.version}`);
for await (const line of createInterface({ input: process.stdin })) {
  const [file, seconds] = line.split(' ');
  const results = [1, 2].map((threads) => measure(file, threads, Number(seconds) / 2));
  const { best, median, p99, threads } = results.sort((a, b) => a.best - b.best)[0];
  console.log(`${best} ${median} ${p99} ${threads}`);
}
