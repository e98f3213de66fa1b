// SPDX-License-Identifier: LGPL-2.1-or-later
// FFmpeg 8 or newer as a peer, by its own libavformat: Debian 12's ffmpeg knows little of Enhanced RTMP.
//
//   ffmpeg8.mjs probe URL [SECONDS]              prints a line of JSON for each stream, then one for each packet
//   ffmpeg8.mjs copy IN... OUT [KEY=VALUE...]    copies all streams of all inputs into FLV, a file or rtmp://
//
// Option `realtime=1` sends at the pace of the time stamps; the others are the muxer's. FFMPEG8_MODULES names the folder
// that has node-av.
import crypto from "node:crypto";
import path from "node:path";
import { pathToFileURL } from "node:url";

const dist = path.join(process.env.FFMPEG8_MODULES, "node-av", "dist");
const load = (name) => import(pathToFileURL(path.join(dist, name, "index.js")));
const { avGetCodecName, Dictionary, FFmpegError, FormatContext, Packet } = await load("lib");

const check = (result, what) => FFmpegError.throwIfError(result, what);
const hash = (data) => (data ? crypto.createHash("sha1").update(data).digest("hex").slice(0, 16) : null);
const milliseconds = (time, base) => (Number(time) * 1000 * base.num) / base.den;
const isTime = (time) => time > -(2n ** 62n);

async function open(url) {
  const input = new FormatContext();
  check(await input.openInput(url), `open ${url}`);
  check(await input.findStreamInfo(), `read ${url}`);
  return input;
}

async function probe(url, seconds) {
  const input = await open(url);
  for (const stream of input.streams) {
    const codec = stream.codecpar;
    console.log(JSON.stringify({
      stream: stream.index, id: stream.id, codec: avGetCodecName(codec.codecId),
      type: codec.codecType, width: codec.width, height: codec.height, rate: codec.sampleRate,
      channels: codec.channels, extradata: codec.extradata ? codec.extradata.toString("hex") : "",
      primaries: codec.colorPrimaries, transfer: codec.colorTrc, matrix: codec.colorSpace,
      tags: stream.metadata ? stream.metadata.getAll() : {},
    }));
  }
  const packet = new Packet();
  packet.alloc();
  let first = null;
  while ((await input.readFrame(packet)) >= 0) {
    const base = input.streams[packet.streamIndex].timeBase;
    const dts = isTime(packet.dts) ? milliseconds(packet.dts, base) : null;
    console.log(JSON.stringify({
      packet: packet.streamIndex, dts, pts: isTime(packet.pts) ? milliseconds(packet.pts, base) : null,
      key: packet.isKeyframe, size: packet.size, hash: hash(packet.data),
    }));
    first ??= dts;
    packet.unref();
    if (seconds && dts !== null && dts - first > seconds * 1000) break;
  }
  process.exit(0);  // A live input would be waited for.
}

async function copy(names, options) {
  const url = names.pop();
  const inputs = [];
  const output = new FormatContext();
  check(output.allocOutputContext2(null, "flv", url), "make the output");
  for (const name of names) {
    const input = await open(name);
    const target = input.streams.map((stream) => {
      const made = output.newStream(null);
      check(stream.codecpar.copy(made.codecpar), "copy parameters");
      made.codecpar.codecTag = 0;
      made.timeBase = stream.timeBase;
      return made;
    });
    inputs.push({ input, target, packet: null });
  }
  check(await output.openOutput(), `open ${url}`);
  const { realtime, ...rest } = options;
  const dictionary = Dictionary.fromObject(rest);
  check(await output.writeHeader(dictionary), "write the header");
  const began = Date.now();
  const read = async (one) => {
    const packet = new Packet();
    packet.alloc();
    one.packet = (await one.input.readFrame(packet)) >= 0 ? packet : null;
    if (one.packet) {
      one.time = milliseconds(packet.dts, one.input.streams[packet.streamIndex].timeBase);
    }
  };
  for (const one of inputs) await read(one);
  for (;;) {
    const next = inputs.filter((one) => one.packet).sort((a, b) => a.time - b.time)[0];
    if (!next) break;
    if (realtime) {
      const wait = next.time - (Date.now() - began);
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    }
    const { packet } = next;
    const target = next.target[packet.streamIndex];
    packet.rescaleTs(next.input.streams[packet.streamIndex].timeBase, target.timeBase);
    packet.streamIndex = target.index;
    check(await output.interleavedWriteFrame(packet), "write a packet");
    await read(next);
  }
  check(await output.writeTrailer(), "write the end");
  await output.closeOutput();
  process.exit(0);
}

const [command, ...words] = process.argv.slice(2);
const isOption = (word) => /^[a-z_]+=/.test(word);
if (command === "probe") {
  await probe(words[0], Number(words[1] ?? 0));
} else if (command === "copy") {
  await copy(words.filter((word) => !isOption(word)),
             Object.fromEntries(words.filter(isOption).map((word) => word.split(/=(.*)/s).slice(0, 2))));
} else {
  console.error("usage: ffmpeg8.mjs probe URL [SECONDS] | copy IN... OUT [KEY=VALUE...]");
  process.exit(2);
}
