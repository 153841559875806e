// mcap.test.mjs - recordings both ways between `flywheel log` and the reference library (@mcap/core), in
// all three compressions; and payloads written by protobufjs and rosmsg2-serialization, as we decode them.
// Skipped where the program is not built; FLYWHEEL_BUILD names another build folder.
import test from 'node:test';
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { McapIndexedReader, McapStreamReader, McapWriter } from '@mcap/core';
import * as rosmsg from '@foxglove/rosmsg';
import { parseRos2idl } from '@foxglove/ros2idl-parser';
import { MessageReader, MessageWriter } from '@foxglove/rosmsg2-serialization';

const require = createRequire(import.meta.url);
const lz4js = require('lz4js');
const unLz4 = require('@foxglove/wasm-lz4');
const zstd = require('@foxglove/wasm-zstd');
const protobuf = require('protobufjs');
require('protobufjs/ext/descriptor');

const build =
  process.env.FLYWHEEL_BUILD ?? fileURLToPath(new URL('../../build/release', import.meta.url));
const flywheel = join(build, 'src/flywheel');
const skip = existsSync(flywheel) ? false : 'the program is not built';
const run = (...words) => promisify(execFile)(flywheel, ['log', ...words], { maxBuffer: 1 << 26 });

const compressors = {
  none: undefined,
  zstd: (data) => ({ compression: 'zstd', compressedData: zstd.compress(data, 3) }),
  lz4: (data) => ({ compression: 'lz4', compressedData: lz4js.compress(data) }),
};
const decompressHandlers = {
  zstd: (data, size) => zstd.decompress(data, Number(size)),
  lz4: (data, size) => unLz4(data, Number(size)),
};
await Promise.all([zstd.isLoaded, unLz4.isLoaded]);

// Bytes gathered in memory, as McapWriter and McapIndexedReader want them.
class Memory {
  parts = [];
  length = 0;
  constructor(bytes) {
    if (bytes) this.parts = [bytes];
  }
  async write(bytes) {
    this.parts.push(Buffer.from(bytes));
    this.length += bytes.length;
  }
  position() {
    return BigInt(this.length);
  }
  async size() {
    return BigInt(this.parts[0].length);
  }
  async read(offset, size) {
    return this.parts[0].subarray(Number(offset), Number(offset + size));
  }
}

const encoder = new TextEncoder();
const base = 1700000000123456789n;
const messages = Array.from({ length: 500 }, (_, i) => ({
  topic: i % 3 === 0 ? '/slow' : '/fast',
  sequence: i,
  logTime: base + BigInt(i) * 10_000_001n,
  publishTime: base + BigInt(i) * 10_000_000n,
  value: { i, text: `say "${'x'.repeat(i % 40)}" \u00e9`, list: [i / 3, null, true, -0.5e-7] },
}));

// What the reference library makes of `messages`.
async function makeReference(compressChunk) {
  const memory = new Memory();
  const writer = new McapWriter({ writable: memory, chunkSize: 8192, compressChunk });
  await writer.start({ profile: 'test', library: 'reference' });
  const schemaId = await writer.registerSchema({
    name: 'thing',
    encoding: 'jsonschema',
    data: encoder.encode('{"type":"object"}'),
  });
  const ids = {};
  for (const topic of ['/slow', '/fast'])
    ids[topic] = await writer.registerChannel({
      topic,
      schemaId,
      messageEncoding: 'json',
      metadata: new Map([['unit', 'car 1']]),
    });
  await writer.addMetadata({
    name: 'about',
    metadata: new Map([
      ['a', '1'],
      ['b', 'zwei'],
    ]),
  });
  for (const m of messages)
    await writer.addMessage({
      channelId: ids[m.topic],
      sequence: m.sequence,
      logTime: m.logTime,
      publishTime: m.publishTime,
      data: encoder.encode(JSON.stringify(m.value)),
    });
  await writer.addAttachment({
    name: 'picture.bin',
    mediaType: 'application/octet-stream',
    logTime: base,
    createTime: base,
    data: new Uint8Array([1, 2, 3, 255]),
  });
  await writer.end();
  return Buffer.concat(memory.parts);
}

// Times are 64 bits: JSON.parse would round them.
const parseLine = (line) =>
  JSON.parse(line.replace(/("(?:log|publish)_time_ns":)(\d+)/g, '$1"$2"'));
async function cat(...words) {
  const { stdout } = await run('cat', ...words, '--json');
  return stdout.split('\n').filter(Boolean).map(parseLine);
}

function assertSame(lines, wanted) {
  assert.equal(lines.length, wanted.length);
  wanted.forEach((m, i) => {
    const { topic, sequence, log_time_ns, publish_time_ns, encoding, schema, data } = lines[i];
    assert.deepEqual(
      { topic, sequence, log_time_ns, publish_time_ns, encoding, schema, data },
      {
        topic: m.topic,
        sequence: m.sequence,
        log_time_ns: String(m.logTime),
        publish_time_ns: String(m.publishTime),
        encoding: 'json',
        schema: 'thing',
        data: m.value,
      },
    );
  });
}

async function inFolder(t) {
  const folder = await mkdtemp(join(tmpdir(), 'flywheel-mcap-'));
  t.after(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

for (const [name, compressChunk] of Object.entries(compressors)) {
  test(`a file of the reference library, ${name}, is read by flywheel log`, { skip }, async (t) => {
    const path = join(await inFolder(t), 'reference.mcap');
    await writeFile(path, await makeReference(compressChunk));
    assertSame(await cat(path), messages);
    assertSame(
      await cat(path, '--topic', '/slow', '--start', String(messages[100].logTime)),
      messages.filter((m, i) => i >= 100 && m.topic === '/slow'),
    );
    const info = JSON.parse((await run('info', path, '--json')).stdout);
    assert.equal(info.messages, messages.length);
    assert.ok(info.chunks[name] > 3);
    assert.equal(info.attachments, 1);
    assert.match((await run('doctor', path)).stdout, /intact/);
  });

  test(`a file of flywheel log, ${name}, is read by the reference library`, { skip }, async (t) => {
    const folder = await inFolder(t);
    const from = join(folder, 'reference.mcap'),
      to = join(folder, 'ours.mcap');
    await writeFile(from, await makeReference(undefined));
    await run('convert', from, '--out', to, '--compression', name, '--chunk-bytes', '8192');
    const bytes = await readFile(to);
    const reader = await McapIndexedReader.Initialize({
      readable: new Memory(bytes),
      decompressHandlers,
    });
    assert.equal(reader.header.profile, 'test');
    assert.equal(Number(reader.statistics.messageCount), messages.length);
    assert.ok(reader.chunkIndexes.length > 3);
    assert.ok(reader.chunkIndexes.every((c) => c.compression === (name === 'none' ? '' : name)));
    const read = [];
    for await (const m of reader.readMessages({ validateCrcs: true })) {
      const channel = reader.channelsById.get(m.channelId);
      assert.equal(channel.metadata.get('unit'), 'car 1');
      assert.equal(reader.schemasById.get(channel.schemaId).name, 'thing');
      const { sequence, logTime, publishTime } = m;
      const value = JSON.parse(new TextDecoder().decode(m.data));
      read.push({ topic: channel.topic, sequence, logTime, publishTime, value });
    }
    assert.deepEqual(read, messages);
    const slow = [];
    for await (const m of reader.readMessages({ topics: ['/slow'], reverse: true }))
      slow.push(m.sequence);
    assert.deepEqual(
      slow,
      messages
        .filter((m) => m.topic === '/slow')
        .map((m) => m.sequence)
        .reverse(),
    );
    for await (const m of reader.readMetadata()) assert.equal(m.metadata.get('b'), 'zwei');
    for await (const a of reader.readAttachments({ validateCrcs: true }))
      assert.deepEqual([...a.data], [1, 2, 3, 255]);
    // The streaming reader checks every CRC on its way.
    const stream = new McapStreamReader({ decompressHandlers, validateCrcs: true });
    stream.append(bytes);
    const kinds = {};
    for (let record; (record = stream.nextRecord()); )
      kinds[record.type] = (kinds[record.type] ?? 0) + 1;
    assert.ok(stream.done());
    assert.equal(kinds.Message, messages.length);
    assert.equal(kinds.Attachment, 1);
    assert.equal(kinds.Metadata, 1);
  });
}

// Writes messages of one channel and reads them back with our decoders.
async function decoded(t, channel, schema, payloads) {
  const memory = new Memory();
  const writer = new McapWriter({ writable: memory });
  await writer.start({ profile: '', library: 'reference' });
  const schemaId = await writer.registerSchema(schema);
  const channelId = await writer.registerChannel({
    ...channel,
    topic: '/t',
    schemaId,
    metadata: new Map(),
  });
  let logTime = 1n;
  for (const data of payloads)
    await writer.addMessage({ channelId, sequence: 0, logTime: logTime++, publishTime: 0n, data });
  await writer.end();
  const path = join(await inFolder(t), 'payloads.mcap');
  await writeFile(path, Buffer.concat(memory.parts));
  return (await cat(path)).map((line) => line.data);
}

const proto = `syntax = "proto3"; package test;
enum Color { RED = 0; BLUE = 5; NEGATIVE = -3; }
message Inner { int32 some_value = 1; Inner next = 2; repeated Color colors = 3; }
message Outer {
  double a_double = 1; float a_float = 2; int64 i64 = 3; uint64 u64 = 4; sint32 s32 = 5; sint64 s64 = 6;
  fixed32 f32 = 7; fixed64 f64 = 8; sfixed32 sf32 = 9; sfixed64 sf64 = 10; bool yes = 11; string text = 12;
  bytes raw = 13; Color color = 14; Inner inner = 15; repeated Inner inners = 16; repeated double packed = 17;
  repeated string names = 18; map<string, Inner> by_name = 19; map<int32, double> by_id = 20;
  oneof choice { string word = 21; int32 number = 22; } map<bool, Color> by_bool = 23; uint32 u32 = 100000;
}`;

test('protobuf of protobufjs is decoded as its own JSON says', { skip }, async (t) => {
  const root = protobuf.parse(proto).root;
  root.resolveAll();
  const Outer = root.lookupType('test.Outer');
  const set = root.toDescriptor('proto3');
  const data = protobuf.descriptor.FileDescriptorSet.encode(set).finish();
  const values = [
    {},
    {
      aDouble: 0.1,
      aFloat: 1.5,
      i64: '-9007199254740993',
      u64: '18446744073709551615',
      s32: -7,
      s64: '-1',
    },
    {
      f32: 4294967295,
      f64: '1',
      sf32: -2,
      sf64: '-9223372036854775808',
      yes: true,
      text: 'é "\n\u{1f600}',
    },
    {
      raw: Buffer.from([0, 255, 16]),
      color: 'BLUE',
      inner: { someValue: -1, next: { next: { someValue: 3 } } },
    },
    {
      inners: [{ someValue: 1 }, {}, { colors: ['RED', 'NEGATIVE'] }],
      packed: [1, 2.5, NaN, -Infinity],
      names: ['', 'b'],
    },
    {
      byName: { a: { someValue: 1 }, '': {} },
      byId: { 5: 1.5, '-1': 2 },
      byBool: { true: 'BLUE', false: 'RED' },
    },
    { word: 'w', u32: 7 },
    { number: -5 },
  ];
  const payloads = values.map((value) => Outer.encode(Outer.fromObject(value)).finish());
  const wanted = payloads.map((bytes) =>
    JSON.parse(
      JSON.stringify(
        Outer.toObject(Outer.decode(bytes), {
          longs: String,
          enums: String,
          bytes: String,
          json: true,
        }),
      ),
    ),
  );
  const lines = await decoded(
    t,
    { messageEncoding: 'protobuf' },
    { name: 'test.Outer', encoding: 'protobuf', data },
    payloads,
  );
  assert.deepEqual(lines, wanted);
});

const ros = `bool yes
int8 i8
uint64 u64
float32 f32
float64[] f64s
string name
Stamp[<=4] stamps
int16[3] three
string[] words
uint32 LIMIT=5
int64 last
================================================================================
MSG: test_msgs/Stamp
int32 sec
uint32 nanosec
string frame`;

// As JSON has it: no typed arrays, no bigints.
const plain = (value) =>
  JSON.parse(
    JSON.stringify(value, (_, v) =>
      typeof v === 'bigint' ? Number(v) : ArrayBuffer.isView(v) ? Array.from(v) : v,
    ),
  );

test('CDR of rosmsg2-serialization is decoded to the same values', { skip }, async (t) => {
  const definition = rosmsg.parse(ros, { ros2: true });
  const writer = new MessageWriter(definition),
    reader = new MessageReader(definition);
  const values = [
    {
      yes: true,
      i8: -8,
      u64: 18446744073709551615n,
      f32: 0.1,
      f64s: [1.5, -2],
      name: 'é',
      stamps: [
        { sec: 1, nanosec: 2, frame: 'm' },
        { sec: -1, nanosec: 0, frame: '' },
      ],
      three: [1, -2, 3],
      words: ['a', 'bcd', ''],
      last: -5n,
    },
    {
      yes: false,
      i8: 0,
      u64: 0n,
      f32: 0,
      f64s: [],
      name: '',
      stamps: [],
      three: [0, 0, 0],
      words: [],
      last: 0n,
    },
  ];
  const payloads = values.map((value) => writer.writeMessage(value));
  const wanted = payloads.map((bytes) => plain(reader.readMessage(bytes)));
  const lines = await decoded(
    t,
    { messageEncoding: 'cdr' },
    { name: 'test_msgs/msg/Thing', encoding: 'ros2msg', data: encoder.encode(ros) },
    payloads,
  );
  // Their reader widens floats to doubles; ours prints the shortest float.
  for (const list of [lines, wanted]) for (const value of list) value.f32 = Math.fround(value.f32);
  assert.deepEqual(lines, wanted);
  assert.deepEqual(lines[0].stamps[0], { sec: 1, nanosec: 2, frame: 'm' });
});

const idl = `================================================================================
IDL: test_msgs/msg/Thing
// as rosidl writes it
#include "test_msgs/msg/Point.idl"
module test_msgs { module msg {
  module Thing_Constants { const uint32 LIMIT = 3; const string NAME = "a; b"; };
  typedef double double__4[4];
  enum Mode { IDLE, MOVING };
  @verbatim (language="comment", text="what (it) is" "and more")
  struct Thing {
    @key int32 id;
    @unit (value="m") double__4 pose;
    sequence<test_msgs::msg::Point> points;
    Mode mode;
    string<10> name;
    sequence<int16, 5> few;
    boolean yes;
    uint64 big;
    @default (value=0.5) float part;
    unsigned short small, other;
  };
}; };
================================================================================
IDL: test_msgs/msg/Point
module test_msgs { module msg { struct Point { double x; int8 y; }; }; };`;

test('CDR by ros2idl is decoded to the values of the reference reader', { skip }, async (t) => {
  const all = parseRos2idl(idl);
  // The reference serializer takes the first struct as the message.
  const definition = [
    ...all.filter((d) => d.name === 'test_msgs/msg/Thing'),
    ...all.filter((d) => d.name !== 'test_msgs/msg/Thing'),
  ];
  const writer = new MessageWriter(definition),
    reader = new MessageReader(definition);
  const values = [
    {
      id: -7,
      pose: [1, 2.5, -3e-9, 4],
      points: [
        { x: 0.1, y: -1 },
        { x: 1e300, y: 127 },
      ],
      mode: 1,
      name: 'abc',
      few: [1, -2, 3],
      yes: true,
      big: 12345678901n,
      part: 0.25,
      small: 65535,
      other: 1,
    },
    { id: 0, pose: [0, 0, 0, 0], points: [], mode: 0, name: '', few: [], yes: false, big: 0n },
  ];
  const payloads = values.map((value) => writer.writeMessage(value));
  const wanted = payloads.map((bytes) => plain(reader.readMessage(bytes)));
  for (const value of wanted) value.mode = ['IDLE', 'MOVING'][value.mode];
  const lines = await decoded(
    t,
    { messageEncoding: 'cdr' },
    { name: 'test_msgs/msg/Thing', encoding: 'ros2idl', data: encoder.encode(idl) },
    payloads,
  );
  assert.deepEqual(lines, wanted);
  assert.equal(lines[0].mode, 'MOVING');
});
