// dashboard.test.mjs - the page against a stand-in factory and examiner, in a real browser.
import test, { after, before } from 'node:test';
import assert from 'node:assert/strict';
import { openBrowser, openPage } from './browser.mjs';
import { startFixture } from './fixture.mjs';

const H = (c) => c.repeat(64);
const CHAMPION = H('c'),
  CONSTANT = H('0'),
  REFUSED = H('e');
const evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>';

const exam = (policy, label, network, guard, clean, n = 320) => ({
  policy,
  label,
  network,
  guard,
  drives: n,
  clean,
  clean_low: clean - 0.04,
  clean_high: clean + 0.03,
  collisions_per_km: 0.11,
  at_fault_per_km: 0.05,
  red_light_runs_per_km: 0,
  off_lane: 0.01,
  stuck: 0.004,
  runs: 8,
  clean_cluster_low: clean - 0.05,
  clean_cluster_high: clean + 0.04,
  hard_brakes_per_km: 0.4,
  mean_speed_mps: 7.25,
});
const status = () => ({
  version: '0.1.0',
  uptime_s: 65,
  stage: 'train',
  champion: CHAMPION,
  recordings: 48,
  bytes: 12_340_000,
  objects_bytes: 15e6,
  disk_cap_bytes: 4e9,
  confined: true,
  events: 17,
  units: 2,
  progress: {
    phase: 'train',
    done: 250000,
    total: 1000000,
    unit: 'agent-steps',
    per_s: 51234.5,
    left_s: 14.6,
  },
});
const curve = (n, updates, loss) => ({
  generation: n,
  agent_steps_wanted: 4e6,
  thinning: { keeps: 'the last update of each part', parts: 300, part_agent_steps: 4e6 / 300 },
  points: Array.from({ length: updates }, (_, i) => ({
    agent_steps: (i + 1) * 20000,
    loss: loss / (i + 1),
    value_loss: 0.25,
    entropy: 2 - i / 100,
    gradient_norm: 1,
    clean_share: i % 2 ? null : 0.5,
  })),
});
/* The lists while generation 3 trains: 3 updates so far, 200 of each one before it. */
const training = () => {
  const given = lists();
  given['/v1/generations'].push({ index: 3, parent: CHAMPION, stage: 'train', decision: null });
  given['/v1/generations/1/curve'] = curve(1, 200, 3);
  given['/v1/generations/2/curve'] = curve(2, 200, 2);
  given['/v1/generations/3/curve'] = curve(3, 3, 1);
  return given;
};
const lists = () => ({
  '/v1/generations': [
    {
      index: 1,
      model: CHAMPION,
      candidate: CHAMPION,
      parent: CONSTANT,
      stage: 'done',
      dataset: H('d'),
      decision: 'promoted',
      reason: 'not worse on 40 scenarios',
      recordings: 30,
      bytes_uploaded: 9e6,
      train_core_s: 61.25,
      agent_steps: 4e6,
      event_to_model_s: 95,
      gate: { scenarios: 40, difference: 0.125, low: 0.02, high: 0.23 },
    },
    {
      index: 2,
      model: CHAMPION,
      candidate: REFUSED,
      parent: CHAMPION,
      stage: 'done',
      dataset: H('f'),
      decision: 'refused',
      reason: 'worse on 40 scenarios',
      recordings: 48,
      bytes_uploaded: 12e6,
      train_core_s: 60,
      agent_steps: 4e6,
      gate: { scenarios: 40, difference: -0.05, low: -0.1, high: -0.01 },
    },
  ],
  '/v1/units': [
    { id: 'car-0', active: CHAMPION, tick: 6000, recordings: 24, spool_bytes: 0, lost_bytes: 0 },
    {
      id: evil,
      active: CONSTANT,
      staged: CHAMPION,
      tick: 6000,
      recordings: 24,
      spool_bytes: 2048,
      lost_bytes: 512,
    },
  ],
  '/v1/log': [
    { sequence: 9, time_ns: 1.7e18, kind: 'refused', text: `generation 2 refused: worse ${evil}` },
    { sequence: 8, time_ns: 1.7e18, kind: 'rollout', text: 'generation 1: all 2 units' },
  ],
  '/v1/models': [{ hash: CONSTANT }, { hash: CHAMPION }, { hash: REFUSED }],
  '/v1/events': [{ unit: evil, kind: 'hard_brake', recording: H('a'), time_ns: 12e9 }],
  '/v1/campaigns': [
    {
      id: 'hard-brakes',
      state: 'open',
      why: null,
      captures: 34,
      captured_bytes: 2_100_000,
      captured_units: 5,
      campaign: { id: 'hard-brakes', when: 'rising(/action.accel_mps2 < -4)' },
    },
    { id: 'old', state: 'ended', why: 'budget', captures: 2, campaign: { when: evil } },
  ],
});
const exams = () => [
  exam(CONSTANT, 'constant', 'acosta', false, 0.31),
  exam(CONSTANT, 'constant', 'acosta', true, 0.42),
  exam(CHAMPION, '', 'acosta', false, 0.905),
  exam(CHAMPION, '', 'acosta', true, 0.925),
  exam(CHAMPION, '', 'pasubio', false, 0.88),
  exam(CHAMPION, '', 'acosta', false, 0.5, 64), // fewer drives: the 320 count
  exam(H('1'), 'idm', 'acosta', false, 0.97),
  exam('sumo', 'sumo', 'acosta', false, 0.946),
];

let browser;
before(async () => {
  browser = await openBrowser();
});
after(async () => {
  await browser.close();
});

async function withPage(t, given, options) {
  const fixture = await startFixture(given.status ?? status(), given.lists ?? lists(), given.exams);
  const page = await openPage(browser, fixture.url, options);
  t.after(async () => {
    await page.close();
    fixture.stop();
  });
  return { fixture, page };
}
const text = (page, selector) => page.locator(selector).innerText();
/* Lists are read at most once a second, and only when the factory says something: it says so again and again. */
async function hear(fixture, locator) {
  const timer = setInterval(() => fixture.say({}), 200);
  try {
    await locator.waitFor();
  } finally {
    clearInterval(timer);
  }
}
const rows = (page, id) => page.locator(`#${id} tbody tr`).allInnerTexts();

test('the stations show live figures and the active one is marked', async (t) => {
  const { fixture, page } = await withPage(t, { exams: exams() });
  await page.locator('.station[data-station=train][data-active=true]').waitFor();
  const names = await page
    .locator('.station')
    .evaluateAll((all) => all.map((s) => s.dataset.station));
  assert.deepEqual(names, [
    'world',
    'units',
    'ingest',
    'curate',
    'train',
    'gate',
    'registry',
    'rollout',
    'exam',
  ]);
  assert.equal(await page.locator('.station[data-active=true]').count(), 1);
  await page.getByText('1 of 2').waitFor();
  assert.match(
    await text(page, '[data-station=ingest]'),
    /48\s*recordings[\s\S]*12\.3 MB[\s\S]*17 events/,
  );
  assert.match(
    await text(page, '[data-station=train]'),
    /250 k of 1\.0 M\s+51 k agent-steps\/s, 15 s left/,
  );
  assert.equal(
    await page.locator('[data-station=train] .meter').getAttribute('aria-valuenow'),
    '25',
  );
  assert.match(
    await text(page, '[data-station=gate]'),
    /−5\.0\s*points[\s\S]*\[−10\.0, −1\.0\], n = 40/,
  );
  assert.match(await text(page, '[data-station=units]'), /lost 512 B/);
  fixture.say({ stage: 'gate', recordings: 49 });
  await page.locator('.station[data-station=gate][data-active=true]').waitFor();
  await page.locator('[data-station=ingest] .big', { hasText: '49' }).waitFor();
  assert.deepEqual(page.problems, []);
});

test('the curve holds a point with its interval for each examined generation', async (t) => {
  const { page } = await withPage(t, { exams: exams() });
  const chart = page.locator('.chart[data-network=acosta]');
  await page.locator('.chart[data-network=acosta][data-points*="90.5"]').waitFor();
  const points = JSON.parse(await chart.getAttribute('data-points'));
  assert.deepEqual(points, {
    generations: [0, 1, 2],
    alone: [31, 90.5, 90.5],
    guarded: [42, 92.5, 92.5],
    baselines: ['sumo', 'idm', 'constant'],
  });
  assert.match(
    await chart.innerText(),
    /Generation 2: alone 90\.5 % \[86\.5 %, 93\.5 %\], n = 320/,
  );
  const inked = await chart.locator('canvas').evaluate((canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    return pixels.some((v, i) => i % 4 === 3 && v > 0);
  });
  assert.ok(inked, 'the canvas is empty');
  assert.equal(await page.locator('.chart').count(), 2);
  assert.equal((await rows(page, 'exams')).length, 8);
});

test('the first model is generation 0 and constant speed at once, before and in the first loop', async (t) => {
  const running = { index: 1, parent: CONSTANT, model: null, stage: 'train', decision: null };
  for (const generations of [[], [running]]) {
    const { page } = await withPage(t, {
      status: { ...status(), champion: CONSTANT },
      lists: { ...lists(), '/v1/generations': generations },
      exams: [
        exam(CONSTANT, 'constant', 'acosta', false, 0.31, 64),
        exam(H('1'), 'idm', 'acosta', false, 0.97, 64),
        exam('sumo', 'sumo', 'acosta', false, 0.946, 64),
      ],
    });
    const chart = page.locator('.chart[data-network=acosta]');
    await page.locator('.chart[data-network=acosta][data-points*="[31]"]').waitFor();
    assert.deepEqual(JSON.parse(await chart.getAttribute('data-points')), {
      generations: [0],
      alone: [31],
      guarded: [null],
      baselines: ['sumo', 'idm', 'constant'],
    });
    const listed = await page.locator('#exams tbody tr').allTextContents(); // folded away
    assert.match(listed.join('\n'), /constant = generation 0/);
  }
});

test('a training is drawn while it goes on, over the earlier ones', async (t) => {
  const given = training();
  const { fixture, page } = await withPage(t, { lists: given });
  await page.locator('[data-curve=loss][data-points="3"][data-generations="3 2 1"]').waitFor();
  assert.match(await text(page, '#training-note'), /^generation 3 trains now/);
  assert.match(
    await text(page, '#training-say'),
    /^Generation 3 after 60 k agent-steps: loss 0\.333 · entropy 1\.98 nats · clean drives 50\.0 %$/,
  );
  assert.match(await text(page, '#training-key'), /generation 3\s+before it: generations 1, 2/);
  for (const field of ['loss', 'entropy', 'clean_share']) {
    const chart = page.locator(`[data-curve=${field}]`);
    assert.match(await chart.getAttribute('aria-label'), /over agent-steps, training of generation 3/);
    const inked = await chart.locator('canvas').evaluate((canvas) => {
      const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
      return pixels.some((v, i) => i % 4 === 3 && v > 0);
    });
    assert.ok(inked, `the canvas of ${field} is empty`);
  }
  await page.locator('[data-curve=entropy] .u-over').hover({ position: { x: 2, y: 50 } });
  await page.getByText('Generation 3 after 20 k agent-steps: loss 1.000').waitFor();
  await page.mouse.move(0, 0);

  given['/v1/generations/3/curve'] = curve(3, 4, 1);
  await hear(fixture, page.locator('[data-curve=clean_share][data-points="4"]'));
  await page
    .getByText('Generation 3 after 80 k agent-steps: loss 0.250 · entropy 1.97 nats · clean drives —')
    .waitFor();
  const figures = await page.locator('#training-table tbody tr').allTextContents(); // folded away
  assert.deepEqual(figures, [
    '80,0000.25000.25001.9701.000—',
    '60,0000.33330.25001.9801.00050.0 %',
    '40,0000.50000.25001.9901.000—',
    '20,0001.00000.25002.0001.00050.0 %',
  ]);

  given['/v1/generations'][2].stage = 'done';
  await hear(fixture, page.locator('#training-note', { hasText: /^generation 3, over/ }));
  const asked = (path) => fixture.asked.filter((p) => p === path).length;
  const curves = asked('/v1/generations/3/curve'),
    turns = asked('/v1/generations');
  while (asked('/v1/generations') < turns + 2) {
    fixture.say({});
    await page.waitForTimeout(200);
  }
  assert.equal(asked('/v1/generations/3/curve'), curves, 'a curve that is whole is read again');
  assert.deepEqual(page.problems, []);
});

/* A straight road: the champion runs into a standing car after 1 s, the candidate stops and stays. */
const replays = () => {
  const frame = (x, speed, veto) => ({
    speed,
    accel: 0,
    curvature: 0,
    veto,
    light: 0,
    boxes: [
      [0, x, 0, 0, 4.5, 1.8, speed],
      [1, 30, 0, 0, 4.5, 1.8, 0],
    ],
  });
  const drive = (driver, end, failed, frames) => ({ driver, track: 0, end, failed, red_light: false, frames });
  const one = {
    format: 1,
    scenario: H('a'),
    site: 'somewhere',
    tick_s: 0.1,
    first_tick: 0,
    lanes: [{ left: [[-20, 2], [60, 2]], right: [[-20, -2], [60, -2]] }],
    route: [[-20, 0, 4], [60, 0, 4]],
    drives: [
      drive('champion', 'collision, at fault', true, Array.from({ length: 10 }, (_, i) => frame(i * 2.5, 25, 0))),
      drive('candidate', 'time is over', false, Array.from({ length: 30 }, (_, i) => frame(Math.min(i, 20), 1, 1))),
    ],
  };
  return { generation: 1, champion: CONSTANT, candidate: CHAMPION, replays: [one, { ...one, lanes: [] }] };
};

test('a failure and its fix play side by side, one click away', async (t) => {
  const given = lists();
  given['/v1/generations/1/replays'] = replays();
  const { page } = await withPage(t, { lists: given });
  const open = page.locator('#generations').getByRole('button', { name: 'failure and fix' });
  await open.last().click(); // the list is newest first
  await page.locator('#replay-stage canvas').nth(1).waitFor();
  assert.match(await text(page, '#replay-note'), /^generation 1, 2 held-out drives that the champion failed/);
  await page.getByText('collision, at fault', { exact: true }).waitFor(); // it plays by itself
  assert.equal(await page.locator('#replay-play').textContent(), 'Pause');

  await page.locator('#replay-at').fill('0');
  assert.equal(await page.locator('#replay-play').textContent(), 'Play');
  const reds = () =>
    page.locator('#replay-stage canvas').evaluateAll((all) =>
      all.map((canvas) => {
        const [r, g, b] = canvas.getContext('2d').getImageData(2, 2, 1, 1).data;
        return r > 120 && r > g + 40 && r > b + 40;
      }),
    );
  assert.deepEqual(await reds(), [false, false]);
  await page.locator('#replay-at').fill('9');
  assert.match(await text(page, '#replay-time'), /^0\.9 s$/);
  assert.deepEqual(await reds(), [true, false]);
  assert.match(await text(page, '#replay-stage'), /candidate\s+1\.0 m\/s, guard brakes/);
  await page.locator('#replay-which').selectOption('1'); // without lanes the route is the road
  await page.locator('#replay-at').fill('29');
  assert.match(await text(page, '#replay-stage'), /candidate\s+time is over/);

  await open.first().click(); // generation 2 has none
  await page.locator('#replay-none').waitFor();
  assert.equal(await page.locator('#replay-box').isVisible(), false);
});

test('tables list every generation, unit, event and decision', async (t) => {
  const { page } = await withPage(t, { exams: exams() });
  await page.locator('#generations tbody tr').nth(2).waitFor();
  const generations = await rows(page, 'generations');
  assert.match(generations[0], /refused[\s\S]*worse on 40 scenarios/);
  assert.match(
    generations[1],
    /promoted[\s\S]*\+12\.5 \[\+2\.0, \+23\.0\], 40[\s\S]*30[\s\S]*9\.0 MB[\s\S]*4\.0 M[\s\S]*61\.3[\s\S]*95 s/,
  );
  const units = await rows(page, 'units');
  assert.equal(units.length, 2);
  assert.match(units.find((row) => row.includes('onerror')), /behind/);
  assert.ok(!units.find((row) => row.includes('car-0')).includes('behind'));
  assert.match((await rows(page, 'events'))[0], /hard brake/);
  assert.match(
    await text(page, '#log'),
    /refused generation 2 refused: worse <img[\s\S]*rollout generation 1/,
  );
});

test('campaigns are listed where there are any', async (t) => {
  const { page } = await withPage(t, { exams: exams() });
  await page.locator('#campaigns tbody tr').nth(1).waitFor();
  const campaigns = await rows(page, 'campaigns');
  assert.match(campaigns[0], /hard-brakes\s+open\s+34\s+2\.1 MB\s+5\s+rising\(/);
  assert.match(campaigns[1], /old\s+budget spent\s+2/);
  assert.match(await text(page, '#campaigns-note'), /1 open/);
});

test('hostile text from outside stays text', async (t) => {
  const given = lists();
  given['/v1/generations'][1].reason = evil;
  const { page } = await withPage(t, {
    lists: given,
    exams: [...exams(), exam(evil, evil, evil, false, 0.5)],
  });
  await page.locator('#units tbody tr', { hasText: 'onerror' }).waitFor();
  await page.locator('.chart h3', { hasText: 'onerror' }).waitFor();
  assert.equal(await page.locator('main img, main script').count(), 0);
  assert.equal(await page.evaluate(() => window.hacked), undefined);
  assert.deepEqual(page.problems, []);
});

test('an empty factory says what is still to come', async (t) => {
  const { page } = await withPage(t, {
    status: {},
    lists: { '/v1/generations': [], '/v1/units': [], '/v1/models': [], '/v1/events': [] },
  });
  await page.locator('#link[data-state=live]').waitFor();
  await page.getByText('No unit has reported yet.').waitFor();
  assert.match(await text(page, '#charts'), /No exam yet/);
  assert.match(await text(page, '#generations'), /No generation yet/);
  assert.match(await text(page, '#training-empty'), /No curve yet/);
  assert.ok(await page.locator('#training-box').isHidden());
  assert.ok(await page.locator('#campaigns-box').isHidden());
  assert.ok(
    !/NaN|undefined|null|\[object/.test(await text(page, 'body')),
    'a raw value is on the page',
  );
  assert.deepEqual(page.problems, []);
});

test('broken answers leave a page that still stands', async (t) => {
  const { page } = await withPage(t, {
    status: { recordings: 'many', champion: 7 },
    exams: [null, 3, { clean: 'x' }],
    lists: {
      '/v1/generations': [null, 'x', {}, { index: 1, stage: 'train' }, { index: 2 }],
      '/v1/generations/1/curve': { points: [null, 7, { agent_steps: 'x' }, { agent_steps: 5 }] },
      '/v1/generations/2/curve': 'x',
      '/v1/units': [{ tick: 'x' }, 5],
      '/v1/models': { no: 1 },
      '/v1/events': 'x',
    },
  });
  await page.locator('#link[data-state=live]').waitFor();
  await page.locator('#units-note', { hasText: '1 cars' }).waitFor();
  await page.locator('#exam-age', { hasText: '1 exam' }).waitFor();
  await page.locator('[data-curve=loss][data-points="1"]').waitFor();
  assert.doesNotMatch(await text(page, 'body'), /NaN|undefined|\[object/);
  assert.deepEqual(page.problems, []);
});

test('silence is shown with its age, and the page recovers by itself', async (t) => {
  const { fixture, page } = await withPage(t, { exams: exams() });
  await page.locator('#link[data-state=live]').waitFor();
  await page.clock.install().catch(() => {});
  fixture.drop();
  await page.clock.fastForward(20000);
  await page.locator('#link[data-state=lost]').waitFor();
  assert.match(await text(page, '#banner'), /No word from the factory since \d\d:\d\d:\d\d/);
  assert.ok(await page.evaluate(() => document.body.classList.contains('stale')));
  assert.equal(
    await page.locator('.station[data-active=true]').count(),
    0,
    'a stale page marks a station as running',
  );
  fixture.restore();
  await page.clock.resume();
  await page.locator('#link[data-state=live]').waitFor();
  assert.equal(await page.locator('#banner').isVisible(), false);
});

test('it fits a phone, in the dark, without the chart library', async (t) => {
  const { page } = await withPage(
    t,
    { exams: exams(), lists: training() },
    { viewport: { width: 390, height: 800 }, colorScheme: 'dark' },
  );
  await page.locator('.chart[data-network=acosta][data-points*="90.5"]').waitFor();
  await page.locator('[data-curve=clean_share][data-points="3"]').waitFor();
  assert.ok(
    await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth),
    'the page scrolls sideways',
  );
  const bare = await browser.newPage();
  t.after(() => bare.close());
  await bare.route('**/uplot.js', (route) => route.abort());
  await bare.goto(page.url());
  await bare.locator('.chart[data-network=acosta]', { hasText: 'did not load' }).waitFor();
  await bare.locator('[data-curve=clean_share]', { hasText: 'did not load' }).waitFor();
  assert.equal(await bare.locator('#curve-table-box[open], #training-table-box[open]').count(), 2);
});

test('everything the eye sees has a name for the ear', async (t) => {
  const { page } = await withPage(t, { exams: exams(), lists: training() });
  await page.locator('.chart[data-network=acosta][data-points*="90.5"]').waitFor();
  await page.locator('[data-curve=clean_share][data-points="3"]').waitFor();
  const unnamed = await page.evaluate(() =>
    [...document.querySelectorAll('a, button, summary, figure, section')]
      .filter(
        (n) =>
          !(
            n.textContent.trim() ||
            n.getAttribute('aria-label') ||
            n.getAttribute('aria-labelledby')
          ),
      )
      .map((n) => n.outerHTML),
  );
  assert.deepEqual(unnamed, []);
  assert.equal(await page.locator('h1').count(), 1);
  assert.equal(await page.locator('th:not([scope])').count(), 0);
});
