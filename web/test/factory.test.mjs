// factory.test.mjs - the page served by the real programs: `flywheel serve` and the examiner's door.
// Skipped where they are not built; FLYWHEEL_BUILD names another build folder.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { openBrowser, openPage } from './browser.mjs';

const build =
  process.env.FLYWHEEL_BUILD ?? fileURLToPath(new URL('../../build/release', import.meta.url));
const flywheel = join(build, 'src/flywheel'),
  world = join(build, 'src/flywheel-world');
const skip = existsSync(flywheel) && existsSync(world) ? false : 'the programs are not built';
const run = promisify(execFile);

// Starts a server, kept in `servers`; resolves with its address, which it prints when it listens.
function serve(servers, program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const server = { child, ended: new Promise((done) => child.once('exit', done)) };
  servers.push(server);
  return new Promise((done, fail) => {
    let said = '';
    const hear = (bytes) => {
      said += bytes;
      const found = /http:\/\/127\.0\.0\.1:(\d+)|"port":\s*(\d+)/.exec(said);
      if (!found) return;
      server.port = found[1] ?? found[2];
      server.url = `http://127.0.0.1:${server.port}`;
      done(server);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('error', fail);
    child.on('exit', (code) => fail(new Error(`${program} ended with ${code}: ${said}`)));
    setTimeout(
      () => fail(new Error(`${program} does not say where it listens: ${said}`)),
      20000,
    ).unref();
  });
}
async function stop(server) {
  server.child.kill('SIGTERM');
  await server.ended;
}

test('the real factory and examiner fill the page', { skip, timeout: 120000 }, async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'flywheel-page-'));
  const store = join(folder, 'exam'),
    servers = [];
  let browser;
  t.after(async () => {
    await Promise.all(servers.map(stop));
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
  });
  await mkdir(store, { mode: 0o700 });
  const factory = await serve(servers, flywheel, [
    'serve',
    '--data',
    join(folder, 'factory'),
    '--listen',
    '127.0.0.1:0',
  ]);
  const examiner = await serve(servers, world, [
    'exam-serve',
    '--store',
    store,
    '--listen',
    '127.0.0.1:0',
  ]);

  const model = join(folder, 'constant.safetensors');
  await run(flywheel, ['models', 'make', 'constant', model]);
  const { stdout } = await run(flywheel, [
    'models',
    'add',
    model,
    '--champion',
    '--url',
    factory.url,
  ]);
  const hash = /[0-9a-f]{64}/.exec(stdout)[0];

  browser = await openBrowser();
  const page = await openPage(browser, `${factory.url}/?exams-port=${examiner.port}`);
  await page.locator('#link[data-state=live]').waitFor();
  await page.locator('.station[data-station=registry]', { hasText: hash.slice(0, 10) }).waitFor();
  await page.locator('#log', { hasText: hash.slice(0, 12) }).waitFor();

  // A unit reports: it appears without a reload, on the champion.
  const answer = await fetch(`${factory.url}/v1/units/car-7/report`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      active: hash,
      staged: '',
      tick: 600,
      recordings: 2,
      spool_bytes: 4096,
      lost_bytes: 0,
    }),
  });
  assert.equal(answer.status, 200, await answer.clone().text());
  assert.equal((await answer.json()).target, hash);
  await page.locator('#units tbody tr', { hasText: 'car-7' }).waitFor();
  await page.locator('.station[data-station=rollout]', { hasText: '1 of 1' }).waitFor();

  // An exam's result appears through the examiner's own door, as generation 0.
  const result = {
    network: 'acosta',
    guard: false,
    drives: 300,
    clean: 0.25,
    clean_low: 0.2,
    clean_high: 0.3,
    runs: 10,
  };
  await writeFile(
    join(store, `${'a'.repeat(64)}.json`),
    JSON.stringify({ key: { exam_version: 1, policy: hash }, label: '', finished_ns: 1, result }),
  );
  await page
    .locator('.chart[data-network=acosta]', {
      hasText: 'Generation 0: alone 25.0 % [20.0 %, 30.0 %], n = 300',
    })
    .waitFor();
  assert.ok(
    !/NaN|undefined|\[object/.test(await page.locator('body').innerText()),
    'a raw value is on the page',
  );

  // The pages beside the loop come out of the same program.
  for (const [path, id, words] of [
    ['/models.html', '#models', hash.slice(0, 10)],
    ['/rollouts.html', '#rollouts', 'No rollout yet'],
    ['/receipt.html?event=1', '#receipt-none', 'No receipt of event 1'],
  ]) {
    const beside = await openPage(browser, `${factory.url}${path}`);
    await beside.locator(id, { hasText: words }).waitFor();
    assert.ok(!/NaN|undefined|\[object/.test(await beside.locator('body').innerText()), path);
    assert.deepEqual(beside.problems, []);
    await beside.close();
  }

  // The factory stops: the page says so; it comes back: the page goes on.
  await stop(factory);
  await page.locator('#link[data-state=lost]').waitFor({ timeout: 30000 });
  const again = await serve(servers, flywheel, [
    'serve',
    '--data',
    join(folder, 'factory'),
    '--listen',
    `127.0.0.1:${factory.port}`,
  ]);
  await page.locator('#link[data-state=live]').waitFor({ timeout: 30000 });
  assert.deepEqual(page.problems, []);
});
