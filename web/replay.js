/* replay.js - drives of two models in the same scenario, played side by side.
 *
 *   GET /v1/generations/{n}/replays --> { replays: [ { lanes, route, drives: [before, after] } ] }
 *   app.js: a click on a generation's "failure and fix" --> FlywheelReplay.open(n)
 *   GET /v1/events/{id}/replay --> receipt.js: FlywheelReplay.openFrom(url, note)
 *
 * One canvas a drive, each following its own car, north up, all at the same moment. A drive that is over
 * stays at its last moment; one that failed is ringed. Format: docs/formats/replay.md. Texts go into text
 * nodes only. Keys: space plays and pauses, left and right step by a tick.
 */
'use strict';
window.FlywheelReplay = (() => {
  const SCALE = 6 /* pixels a metre */,
    VIEW = { wide: 460, high: 340 },
    PLAN_TICKS = 20;
  const $ = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  let shown = null; /* { replay, tick, playing, canvases } */

  const ticksOf = (replay) => Math.max(...replay.drives.map((d) => d.frames.length));
  const frameOf = (drive, tick) => drive.frames[Math.min(tick, drive.frames.length - 1)];

  function path(ctx, points) {
    ctx.beginPath();
    points.forEach(([x, y], i) => (i ? ctx.lineTo(x, y) : ctx.moveTo(x, y)));
  }
  function map(ctx, replay) {
    ctx.fillStyle = colour('--line');
    ctx.strokeStyle = colour('--dim');
    ctx.lineWidth = 0.12;
    for (const lane of replay.lanes) {
      path(ctx, [...lane.left, ...[...lane.right].reverse()]);
      ctx.fill();
    }
    for (const lane of replay.lanes)
      for (const side of [lane.left, lane.right]) {
        path(ctx, side);
        ctx.stroke();
      }
    if (replay.lanes.length === 0) {
      ctx.strokeStyle = colour('--line');
      ctx.lineCap = 'round';
      replay.route.slice(1).forEach(([x, y, width], i) => {
        ctx.lineWidth = width;
        path(ctx, [replay.route[i], [x, y]]);
        ctx.stroke();
      });
    }
    ctx.strokeStyle = colour('--accent');
    ctx.lineWidth = 0.3;
    ctx.setLineDash([1.5, 1.5]);
    path(ctx, replay.route);
    ctx.stroke();
    ctx.setLineDash([]);
  }
  /* Where the car would be, tick by tick, with the wheels and the acceleration it chose. */
  function plan(ctx, frame, ink) {
    let [x, y, yaw, speed] = [0, 0, 0, frame.speed];
    const points = [[0, 0]];
    for (let k = 0; k < PLAN_TICKS; k++) {
      const next = Math.max(0, speed + 0.1 * frame.accel),
        way = 0.05 * (speed + next);
      x += way * Math.cos(yaw);
      y += way * Math.sin(yaw);
      yaw += way * frame.curvature;
      speed = next;
      points.push([x, y]);
    }
    ctx.strokeStyle = ink;
    ctx.lineWidth = 0.45;
    path(ctx, points);
    ctx.stroke();
  }
  function car(ctx, box, ink, frame) {
    const [, x, y, yaw, length, width] = box;
    ctx.save();
    ctx.translate(x, y);
    ctx.rotate(yaw);
    if (frame) plan(ctx, frame, ink);
    ctx.fillStyle = ink;
    ctx.fillRect(-length / 2, -width / 2, length, width);
    ctx.fillStyle = colour('--panel');
    ctx.fillRect(length * 0.18, -width * 0.36, length * 0.12, width * 0.72);
    ctx.restore();
  }
  function draw(canvas, replay, drive, tick) {
    const ratio = window.devicePixelRatio || 1,
      ctx = canvas.getContext('2d'),
      frame = frameOf(drive, tick),
      over = drive.failed && tick >= drive.frames.length - 1,
      own = frame.boxes[0],
      ink = over ? colour('--bad') : colour('--good');
    canvas.width = VIEW.wide * ratio;
    canvas.height = VIEW.high * ratio;
    ctx.scale(ratio, ratio);
    ctx.fillStyle = colour('--raised');
    ctx.fillRect(0, 0, VIEW.wide, VIEW.high);
    ctx.translate(VIEW.wide / 2, VIEW.high / 2);
    ctx.scale(SCALE, -SCALE);
    ctx.translate(-own[1], -own[2]);
    map(ctx, replay);
    for (const box of frame.boxes.slice(1)) car(ctx, box, colour('--dim'), null);
    car(ctx, own, ink, frame);
    ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (over) {
      ctx.strokeStyle = colour('--bad');
      ctx.lineWidth = 8;
      ctx.strokeRect(0, 0, VIEW.wide, VIEW.high);
    }
  }
  function say(tick) {
    const { replay } = shown;
    $('replay-time').textContent = `${(tick * replay.tick_s).toFixed(1)} s`;
    replay.drives.forEach((drive, i) => {
      const frame = frameOf(drive, tick),
        ended = tick >= drive.frames.length - 1;
      shown.notes[i].textContent = ended
        ? `${drive.end}${drive.red_light ? ', red light run' : ''}`
        : `${frame.speed.toFixed(1)} m/s${frame.veto ? ', guard brakes' : ''}`;
      shown.notes[i].dataset.failed = String(ended && drive.failed);
    });
  }
  function show(tick) {
    shown.tick = Math.max(0, Math.min(tick, ticksOf(shown.replay) - 1));
    $('replay-at').value = String(shown.tick);
    shown.replay.drives.forEach((drive, i) =>
      draw(shown.canvases[i], shown.replay, drive, shown.tick),
    );
    say(shown.tick);
  }
  function play(on) {
    shown.playing = on;
    $('replay-play').textContent = on ? 'Pause' : 'Play';
  }
  /* A moment lasts a tick; at the end it rests a second and begins again. */
  let last = 0;
  function run(now) {
    requestAnimationFrame(run);
    if (!shown || !shown.playing || $('replay').hidden) return;
    if (now - last < 1000 * shown.replay.tick_s) return;
    const end = shown.tick >= ticksOf(shown.replay) - 1;
    if (end && now - last < 1000) return;
    last = now;
    show(end ? 0 : shown.tick + 1);
  }

  function choose(replays, index) {
    const replay = replays[index],
      stage = $('replay-stage');
    shown = { replay, tick: 0, playing: true, canvases: [], notes: [] };
    stage.replaceChildren(
      ...replay.drives.map((drive) => {
        const figure = document.createElement('figure'),
          caption = document.createElement('figcaption'),
          canvas = document.createElement('canvas'),
          name = document.createElement('b'),
          note = document.createElement('span');
        name.textContent = drive.driver;
        canvas.setAttribute('role', 'img');
        canvas.setAttribute('aria-label', `${drive.driver}: ${drive.end}`);
        caption.append(name, ' ', note);
        figure.append(caption, canvas);
        shown.canvases.push(canvas);
        shown.notes.push(note);
        return figure;
      }),
    );
    $('replay-at').max = String(ticksOf(replay) - 1);
    play(true);
    show(0);
  }
  function list(answer, note) {
    const select = $('replay-which');
    select.replaceChildren(
      ...answer.replays.map((replay, i) => {
        const option = document.createElement('option');
        option.value = String(i);
        option.textContent = `${i + 1}: ${replay.drives.map((d) => d.end).join(' → ')}`;
        return option;
      }),
    );
    select.onchange = () => choose(answer.replays, Number(select.value));
    $('replay-note').textContent = note;
  }
  /* Any call that answers {"replays": [...]}; notes: with some, and with none. */
  async function openFrom(url, note, noneNote) {
    const answer = await fetch(url);
    const body = answer.ok ? await answer.json() : { replays: [] };
    $('replay').hidden = false;
    const none = !Array.isArray(body.replays) || body.replays.length === 0;
    $('replay-none').hidden = !none;
    $('replay-box').hidden = none;
    $('replay-note').textContent = none ? body.why || noneNote || '' : '';
    if (none) shown = null;
    else {
      list(body, typeof note === 'function' ? note(body.replays.length) : note);
      choose(body.replays, 0);
    }
  }
  async function open(generation) {
    await openFrom(
      `/v1/generations/${encodeURIComponent(generation)}/replays`,
      (n) =>
        `generation ${generation}, ${n} held-out drives that the champion failed and the candidate passed`,
      `generation ${generation}`,
    );
    $('replay').scrollIntoView({ block: 'start' });
  }
  document.addEventListener('DOMContentLoaded', () => {
    $('replay-play').addEventListener('click', () => shown && play(!shown.playing));
    $('replay-at').addEventListener('input', (event) => {
      play(false);
      show(Number(event.target.value));
    });
    $('replay').addEventListener('keydown', (event) => {
      if (!shown || event.target.tagName === 'SELECT') return;
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (step && event.target.type !== 'range') {
        play(false);
        show(shown.tick + step);
      } else if (event.key === ' ' && event.target.tagName !== 'BUTTON') {
        play(!shown.playing);
      } else return;
      event.preventDefault();
    });
    requestAnimationFrame(run);
  });
  return { open, openFrom };
})();
