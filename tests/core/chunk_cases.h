// SPDX-License-Identifier: LGPL-2.1-or-later
#pragma once

#include <vector>

#include "chunk_support.h"

/// One table of octets and what they mean, for reader and writer.
namespace rtmp::test {

struct ChunkCase {
  const char* name;
  /// The writer cuts `messages` into exactly these octets; else they are only what peers send.
  bool is_ours;
  Buffer wire;
  std::vector<Message> messages;
};

inline std::vector<ChunkCase> chunk_cases() {
  const auto audio = MessageType::kAudio;
  const auto video = MessageType::kVideo;
  const auto control = MessageType::kUserControl;
  const auto set_size = MessageType::kSetChunkSize;
  const Buffer size_4 = octets("00 00 00 04");
  std::vector<ChunkCase> cases;
  const auto ours = [&](const char* name, const Buffer& wire, std::vector<Message> messages) {
    cases.push_back({name, true, wire, std::move(messages)});
  };
  const auto theirs = [&](const char* name, const Buffer& wire, std::vector<Message> messages) {
    cases.push_back({name, false, wire, std::move(messages)});
  };

  // ---- formats (5.3.1.2) ----
  ours("one message", octets("04 0003E8 000003 08 01000000 AF0102"),
       {{4, audio, 1, 1000, octets("AF0102")}});
  ours("stream id is little-endian", octets("04 000000 000001 08 78563412 AA"),
       {{4, audio, 0x12345678, 0, octets("AA")}});
  ours("lengths, then types differ: format 1",
       octets("04 00000A 000001 08 01000000 AA"
              "44 000005 000002 08 AABB"
              "44 000005 000002 09 AABB"),
       {{4, audio, 1, 10, octets("AA")},
        {4, audio, 1, 15, octets("AABB")},
        {4, video, 1, 20, octets("AABB")}});
  ours("same length and type: format 2",
       octets("04 0003E8 000020 08 01000000 32*AA 84 000014 32*BB 84 000014 32*CC 84 000000 32*DD"),
       {{4, audio, 1, 1000, octets("32*AA")},
        {4, audio, 1, 1020, octets("32*BB")},
        {4, audio, 1, 1040, octets("32*CC")},
        {4, audio, 1, 1040, octets("32*DD")}});
  theirs("the specification's first example: format 3 repeats the delta (5.3.2.1)",
         octets("03 0003E8 000020 08 39300000 32*AA 83 000014 32*BB C3 32*CC C3 32*DD"),
         {{3, audio, 12345, 1000, octets("32*AA")},
          {3, audio, 12345, 1020, octets("32*BB")},
          {3, audio, 12345, 1040, octets("32*CC")},
          {3, audio, 12345, 1060, octets("32*DD")}});
  ours("the specification's second example: one message in three chunks (5.3.2.2)",
       octets("04 0003E8 000133 09 3A300000 128*01 C4 128*02 C4 51*03"),
       {{4, video, 12346, 1000, octets("128*01 128*02 51*03")}});
  ours("a message that just fills its chunks",
       octets("04 000000 000100 09 01000000 128*01 C4 128*02"),
       {{4, video, 1, 0, octets("128*01 128*02")}});
  ours("back in time: format 0",
       octets("04 000064 000001 08 01000000 AA 04 000063 000001 08 01000000 BB"),
       {{4, audio, 1, 100, octets("AA")}, {4, audio, 1, 99, octets("BB")}});
  ours("another stream: format 0",
       octets("04 000064 000001 08 01000000 AA 04 000065 000001 08 02000000 BB"),
       {{4, audio, 1, 100, octets("AA")}, {4, audio, 2, 101, octets("BB")}});
  ours("messages without octets",
       octets("04 000000 000000 08 01000000 84 000005 44 000001 000001 08 AA"),
       {{4, audio, 1, 0, {}}, {4, audio, 1, 5, {}}, {4, audio, 1, 6, octets("AA")}});
  theirs(
      "a message without octets by format 3",
      octets("04 000000 000000 08 01000000 84 000005 C4 C4"),
      {{4, audio, 1, 0, {}}, {4, audio, 1, 5, {}}, {4, audio, 1, 10, {}}, {4, audio, 1, 15, {}}});

  // ---- basic headers (5.3.1.1) ----
  ours("the smallest and largest ids of each form",
       octets("02 000000 000001 04 00000000 A0"
              "3F 000000 000001 08 01000000 A1"
              "00 00 000000 000001 08 01000000 A2"
              "00 FF 000000 000001 08 01000000 A3"
              "01 0001 000000 000001 08 01000000 A4"
              "01 FFFF 000000 000001 08 01000000 A5"),
       {{2, control, 0, 0, octets("A0")},
        {63, audio, 1, 0, octets("A1")},
        {64, audio, 1, 0, octets("A2")},
        {319, audio, 1, 0, octets("A3")},
        {320, audio, 1, 0, octets("A4")},
        {65599, audio, 1, 0, octets("A5")}});
  ours("long ids in all formats",
       octets("00 40 000000 000081 08 01000000 128*01 C0 40 02 80 40 000001 128*03 C0 40 04"
              "01 E803 000000 000001 08 01000000 05 41 E803 000000 000002 08 0606"),
       {{128, audio, 1, 0, octets("128*01 02")},
        {128, audio, 1, 1, octets("128*03 04")},
        {1064, audio, 1, 0, octets("05")},
        {1064, audio, 1, 0, octets("0606")}});
  theirs("a long form where a shorter one would do",
         octets("01 0000 000000 000001 08 01000000 A1 40 00 000005 000001 08 A2"),
         {{64, audio, 1, 0, octets("A1")}, {64, audio, 1, 5, octets("A2")}});
  theirs("the first octet of a long id is the low one",
         octets("01 02 01 000000 000001 08 01000000 A1"), {{322, audio, 1, 0, octets("A1")}});

  // ---- extended time stamps (5.3.1.3) ----
  ours("the last time stamp of 24 bits", octets("04 FFFFFE 000001 08 01000000 AA"),
       {{4, audio, 1, 0xFFFFFE, octets("AA")}});
  ours("the first extended one", octets("04 FFFFFF 000001 08 01000000 00FFFFFF AA"),
       {{4, audio, 1, 0xFFFFFF, octets("AA")}});
  ours("the last extended one", octets("04 FFFFFF 000001 08 01000000 FFFFFFFF AA"),
       {{4, audio, 1, 0xFFFFFFFF, octets("AA")}});
  ours("repeated in continuing chunks",
       octets("04 FFFFFF 000101 09 01000000 01020304 128*01 C4 01020304 128*02 C4 01020304 03"
              "44 000028 000081 09 128*04 C4 05"),
       {{4, video, 1, 0x01020304, octets("128*01 128*02 03")},
        {4, video, 1, 0x0102032C, octets("128*04 05")}});
  theirs("not repeated in continuing chunks",
         octets("04 FFFFFF 000102 09 01000000 01020304 128*01 C4 128*02 C4 0303 84 000001 128*04"
                "C4 128*05 C4 0606"),
         {{4, video, 1, 0x01020304, octets("128*01 128*02 0303")},
          {4, video, 1, 0x01020305, octets("128*04 128*05 0606")}});
  theirs("not repeated, and the last octet looks like the field's first",
         octets("04 FFFFFF 000081 09 01000000 01020304 128*01 C4 01 44 000001 000001 09 AA"),
         {{4, video, 1, 0x01020304, octets("128*01 01")}, {4, video, 1, 0x01020305, octets("AA")}});
  theirs("not repeated, and the last octets look like the field's first three",
         octets("04 FFFFFF 000083 09 01000000 01020304 128*01 C4 010203 44 000001 000001 09 AA"),
         {{4, video, 1, 0x01020304, octets("128*01 010203")},
          {4, video, 1, 0x01020305, octets("AA")}});
  theirs("not repeated, and next comes a whole message without octets",
         octets("06 000000 000000 08 01000000"
                "04 FFFFFF 000081 09 01000000 01C60304 128*01 C4 01 C6 C6 C6"),
         {{6, audio, 1, 0, {}},
          {4, video, 1, 0x01C60304, octets("128*01 01")},
          {6, audio, 1, 0, {}},
          {6, audio, 1, 0, {}},
          {6, audio, 1, 0, {}}});
  theirs("a delta of 24 bits and more, repeated as it was",
         octets("04 00000A 000081 09 01000000 128*01 C4 02"
                "44 FFFFFF 000082 09 01312D17 128*03 C4 01312D17 0404"),
         {{4, video, 1, 10, octets("128*01 02")},
          {4, video, 1, 10 + 0x01312D17, octets("128*03 0404")}});
  theirs("a delta of 24 bits and more, repeated as the time stamp it makes",
         octets("04 00000A 000081 09 01000000 128*01 C4 02"
                "44 FFFFFF 000082 09 01312D17 128*03 C4 01312D21 0404"),
         {{4, video, 1, 10, octets("128*01 02")},
          {4, video, 1, 10 + 0x01312D17, octets("128*03 0404")}});
  ours("a step of 24 bits and more is written as a time stamp",
       octets("04 00000A 000001 09 01000000 01 04 FFFFFF 000001 09 01000000 0100000A 02"),
       {{4, video, 1, 10, octets("01")}, {4, video, 1, 0x0100000A, octets("02")}});
  theirs("format 3 begins a message with another extended delta (FFmpeg)",
         octets("04 000000 000001 08 01000000 A1 84 FFFFFF 01000000 A2 C4 01000001 A3"),
         {{4, audio, 1, 0, octets("A1")},
          {4, audio, 1, 0x01000000, octets("A2")},
          {4, audio, 1, 0x02000001, octets("A3")}});
  theirs("format 3 begins a message behind an extended format 0, and repeats it",
         octets("04 FFFFFF 000001 08 01000000 01000000 A1 C4 01000000 A2 C4 01000000 A3"),
         {{4, audio, 1, 0x01000000, octets("A1")},
          {4, audio, 1, 0x01000000, octets("A2")},
          {4, audio, 1, 0x01000000, octets("A3")}});
  theirs("format 3 begins a message behind an extended format 0, with its own time",
         octets("04 FFFFFF 000001 08 01000000 01000000 A1 C4 01000017 A2 C4 0100002E A3"),
         {{4, audio, 1, 0x01000000, octets("A1")},
          {4, audio, 1, 0x01000017, octets("A2")},
          {4, audio, 1, 0x0100002E, octets("A3")}});
  ours("across 2^32", octets("04 FFFFFF 000001 08 01000000 FFFFFFF6 A1 84 000014 A2"),
       {{4, audio, 1, 0xFFFFFFF6, octets("A1")}, {4, audio, 1, 0x10000000A, octets("A2")}});
  theirs("a negative delta (nginx-rtmp)",
         octets("04 000064 000001 08 01000000 A1 84 FFFFFF FFFFFFF6 A2"),
         {{4, audio, 1, 100, octets("A1")}, {4, audio, 1, 90, octets("A2")}});

  // ---- format 3 that begins a message behind format 0 (5.3.1.2.4) ----
  theirs("early in a stream, its time stamp is the delta",
         octets("04 000017 000001 08 01000000 A1 C4 A2 C4 A3"),
         {{4, audio, 1, 23, octets("A1")},
          {4, audio, 1, 46, octets("A2")},
          {4, audio, 1, 69, octets("A3")}});
  theirs("later, the delta is 0", octets("04 36EE80 000001 08 01000000 A1 C4 A2"),
         {{4, audio, 1, 3600000, octets("A1")}, {4, audio, 1, 3600000, octets("A2")}});

  // ---- chunk streams that begin in other ways ----
  theirs(
      "format 1 on a fresh control stream (librtmp)",
      octets("42 000000 000006 04 0007 00000001 42 000001 000006 04 0007 00000002"),
      {{2, control, 0, 0, octets("0007 00000001")}, {2, control, 0, 1, octets("0007 00000002")}});
  theirs("formats 2 and 3 on fresh streams mean nothing",
         octets("85 000010 C6 04 000000 000001 08 01000000 A1"), {{4, audio, 1, 0, octets("A1")}});

  // ---- several chunk streams ----
  theirs("audio between the chunks of video",
         octets("06 00000A 000082 09 01000000 128*01 04 000005 000002 08 01000000 AAAA"
                "C6 0202 84 000005 BBBB"),
         {{4, audio, 1, 5, octets("AAAA")},
          {6, video, 1, 10, octets("128*01 0202")},
          {4, audio, 1, 10, octets("BBBB")}});
  theirs("Set Chunk Size holds for the next chunk, also of a message that is under way",
         octets("06 00000A 000086 09 01000000 128*01 02 000000 000004 01 00000000 00000004"
                "C6 4*02 C6 0303"),
         {{2, set_size, 0, 0, size_4}, {6, video, 1, 10, octets("128*01 4*02 0303")}});
  ours("Set Chunk Size before anything else",
       octets("02 000000 000004 01 00000000 00000004"
              "06 000000 000006 09 01000000 01010101 C6 0202"),
       {{2, set_size, 0, 0, size_4}, {6, video, 1, 0, octets("010101010202")}});
  theirs("the largest chunk size",
         octets("02 000000 000004 01 00000000 7FFFFFFF"
                "06 000000 000200 09 01000000 512*01"),
         {{2, set_size, 0, 0, octets("7FFFFFFF")}, {6, video, 1, 0, octets("512*01")}});
  theirs("Abort drops what has come of a message (5.4.2)",
         octets("06 00000A 000082 09 01000000 128*01 02 000000 000004 02 00000000 00000006"
                "46 000005 000001 09 AA"),
         {{2, MessageType::kAbort, 0, 0, octets("00000006")}, {6, video, 1, 15, octets("AA")}});
  theirs("Abort of a chunk stream that has nothing under way, and of one that is not there",
         octets("06 00000A 000001 09 01000000 AA 02 000000 000004 02 00000000 00000006"
                "82 000000 00000009 86 000005 BB"),
         {{6, video, 1, 10, octets("AA")},
          {2, MessageType::kAbort, 0, 0, octets("00000006")},
          {2, MessageType::kAbort, 0, 0, octets("00000009")},
          {6, video, 1, 15, octets("BB")}});
  theirs("a new message ends one that is not complete",
         octets("06 00000A 000182 09 01000000 128*01 06 00000B 000001 09 01000000 AA"
                "46 000001 000182 09 128*02 46 000001 000002 09 BBBB"
                "46 000001 000182 09 128*03 86 000001 128*04 C6 128*05 C6 128*06 C6 0707"),
         {{6, video, 1, 11, octets("AA")},
          {6, video, 1, 13, octets("BBBB")},
          {6, video, 1, 15, octets("128*04 128*05 128*06 0707")}});
  theirs("a longer message takes the place of one that is not complete",
         octets("06 00000A 000082 09 01000000 128*01 46 000001 000102 09 128*02 C6 128*03 C6 0404"),
         {{6, video, 1, 11, octets("128*02 128*03 0404")}});
  return cases;
}

}  // namespace rtmp::test
