// fixture.mjs - a stand-in factory and examiner: the page's files, canned API answers, a live stream.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const web = fileURLToPath(new URL('..', import.meta.url));
const files = {
  '/': ['index.html', 'text/html'],
  '/models.html': ['models.html', 'text/html'],
  '/rollouts.html': ['rollouts.html', 'text/html'],
  '/receipt.html': ['receipt.html', 'text/html'],
  '/words.js': ['words.js', 'text/javascript'],
  '/app.js': ['app.js', 'text/javascript'],
  '/models.js': ['models.js', 'text/javascript'],
  '/rollouts.js': ['rollouts.js', 'text/javascript'],
  '/receipt.js': ['receipt.js', 'text/javascript'],
  '/replay.js': ['replay.js', 'text/javascript'],
  '/style.css': ['style.css', 'text/css'],
  '/uplot.js': ['node_modules/uplot/dist/uPlot.iife.min.js', 'text/javascript'],
  '/uplot.css': ['node_modules/uplot/dist/uPlot.min.css', 'text/css'],
};

const listen = (server) =>
  new Promise((done) => server.listen(0, '127.0.0.1', () => done(server.address().port)));

// A running stand-in. `lists` holds the answers by path and may be changed at any time; `say()` sends
// one status event; `drop()` cuts every live stream and refuses new ones.
export async function startFixture(status, lists, exams) {
  const streams = new Set(),
    asked = [];
  const fixture = { status, lists, exams, asked, dropped: false };
  const send = (stream) =>
    stream.write(`event: status\ndata: ${JSON.stringify(fixture.status)}\n\n`);
  const factory = createServer(async (request, response) => {
    const path = new URL(request.url, 'http://x').pathname;
    asked.push(path);
    if (fixture.dropped && path.startsWith('/v1/')) return response.destroy();
    if (path === '/v1/live') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      streams.add(response);
      request.on('close', () => streams.delete(response));
      return send(response);
    }
    if (files[path]) {
      // The factory's own policy: nothing from anywhere else, no inline code.
      response.writeHead(200, {
        'content-type': files[path][1],
        'content-security-policy':
          "default-src 'self'; connect-src 'self' http://127.0.0.1:*; img-src 'self' data:",
      });
      return response.end(await readFile(web + files[path][0]));
    }
    response.writeHead(path in fixture.lists ? 200 : 404, { 'content-type': 'application/json' });
    response.end(JSON.stringify(fixture.lists[path] ?? { error: 'unknown' }));
  });
  const examiner = createServer((request, response) => {
    if (!fixture.exams) return response.destroy();
    response.writeHead(200, {
      'content-type': 'application/json',
      'access-control-allow-origin': '*',
    });
    response.end(JSON.stringify(fixture.exams));
  });
  fixture.port = await listen(factory);
  fixture.examPort = await listen(examiner);
  fixture.url = `http://127.0.0.1:${fixture.port}/?exams-port=${fixture.examPort}`;
  fixture.say = (changes) => {
    Object.assign(fixture.status, changes);
    streams.forEach(send);
  };
  fixture.drop = () => {
    fixture.dropped = true;
    streams.forEach((s) => s.destroy());
  };
  fixture.restore = () => {
    fixture.dropped = false;
  };
  fixture.stop = () => {
    for (const server of [factory, examiner]) {
      server.closeAllConnections();
      server.close();
    }
  };
  return fixture;
}
