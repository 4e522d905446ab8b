;; A node that does what the first byte of its payload says, most of it nothing good. By hand, so that every byte that
;; passes the boundary is known. Static texts below 4096, results of imports at 512, the result of an export at 256,
;; a bump allocator above 65536 that starts anew with each message.
(module
  (import "krt:node/messaging@0.1.1" "send" (func $send (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
  (import "krt:node/messaging@0.1.1" "relay" (func $relay (param i32 i32 i32 i32 i32)))
  (import "krt:node/messaging@0.1.1" "max-payload" (func $max_payload (result i64)))
  (import "krt:node/delivery@0.1.1" "attempt" (func $attempt (result i32)))
  (import "krt:node/delivery@0.1.1" "channel" (func $channel (param i32)))
  (import "krt:node/delivery@0.1.1" "time-remaining" (func $time_remaining (param i32)))
  (import "krt:node/configuration@0.1.1" "get" (func $get (param i32 i32 i32 i32 i32)))
  (import "krt:node/object-store@0.1.1" "get" (func $object (param i32 i32 i32)))
  (import "krt:node/object-store@0.1.1" "list" (func $list (param i32 i32 i32 i32)))
  (import "krt:node/measurements@0.1.1" "save"
    (func $measure (param i32 i32 i32 i32 i32 i32 i32 i64 i32)))
  (import "krt:node/logging@0.1.1" "log" (func $log (param i32 i32 i32 i32 i32)))
  (import "krt:node/metadata@0.1.1" "node" (func $node (param i32)))

  (memory (export "memory") 2)
  (global $bump (mut i32) (i32.const 65536))
  (global $calls (mut i32) (i32.const 0))
  (data (i32.const 1024) "type.googleapis.com/demo.Reply")   ;; 30 bytes
  (data (i32.const 1100) "bad data")
  (data (i32.const 1200) "away for now")
  (data (i32.const 1300) "wait")
  (data (i32.const 1400) "a line that says nothing, sixty-four bytes of it, again and again")
  (data (i32.const 1500) "one\n\1b[31mtwo")
  (data (i32.const 1600) "rejected by init")

  (func (export "cabi_realloc") (param i32 i32 i32) (param $size i32) (result i32)
    (local $at i32) (local $end i32)
    (local.set $at (i32.and (i32.add (global.get $bump) (i32.const 7)) (i32.const -8)))
    (local.set $end (i32.add (local.get $at) (local.get $size)))
    (block $fits
      (br_if $fits (i32.le_u (local.get $end) (i32.mul (memory.size) (i32.const 65536))))
      (br_if $fits (i32.ne (i32.const -1) (memory.grow
        (i32.add (i32.const 1) (i32.shr_u (i32.sub (local.get $end) (i32.mul (memory.size) (i32.const 65536))) (i32.const 16))))))
      unreachable)
    (global.set $bump (local.get $end))
    (local.get $at))

  (func $ok (result i32)
    (i32.store8 (i32.const 256) (i32.const 0))
    (i32.const 256))

  (func $failure (param $case i32) (param $text i32) (param $length i32) (result i32)
    (i32.store8 (i32.const 256) (i32.const 1))
    (i32.store8 (i32.const 260) (local.get $case))
    (i32.store (i32.const 264) (local.get $text))
    (i32.store (i32.const 268) (local.get $length))
    (i32.const 256))

  (func $reply (param $data i32) (param $length i32)
    (call $send (i32.const 1024) (i32.const 30) (local.get $data) (local.get $length)
      (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)))

  (func $dive (param i32) (result i32)
    (i32.add (i32.const 1) (call $dive (i32.add (local.get 0) (i32.const 1)))))

  (func $say (param $text i32) (param $length i32)
    (call $log (i32.const 2) (local.get $text) (local.get $length) (i32.const 0) (i32.const 0)))

  (func $spin (param $rounds i64)
    (loop $again
      (local.set $rounds (i64.sub (local.get $rounds) (i64.const 1)))
      (br_if $again (i64.ne (local.get $rounds) (i64.const 0)))))

  (func $handle (param $data i32) (param $length i32) (result i32)
    (local $op i32) (local $number i32) (local $i i32)
    (local.set $op (i32.load8_u (local.get $data)))
    (local.set $number (i32.load (i32.add (local.get $data) (i32.const 1))))
    (global.set $calls (i32.add (global.get $calls) (i32.const 1)))

    ;; e: echo
    (if (i32.eq (local.get $op) (i32.const 0x65)) (then
      (call $reply (local.get $data) (local.get $length)) (return (call $ok))))
    ;; r: relay
    (if (i32.eq (local.get $op) (i32.const 0x72)) (then
      (call $relay (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)) (return (call $ok))))
    ;; c: how many messages this instance has had
    (if (i32.eq (local.get $op) (i32.const 0x63)) (then
      (i32.store8 (i32.const 300) (global.get $calls))
      (call $reply (i32.const 300) (i32.const 1)) (return (call $ok))))
    ;; y: what stands at two places that it then writes to, one of them in memory that is grown for it
    (if (i32.eq (local.get $op) (i32.const 0x79)) (then
      (if (i32.lt_u (memory.size) (i32.const 40)) (then (drop (memory.grow (i32.const 40)))))
      (i32.store8 (i32.const 300) (i32.load8_u (i32.const 50000)))
      (i32.store8 (i32.const 301) (i32.load8_u (i32.const 2000000)))
      (i32.store8 (i32.const 50000) (i32.const 7))
      (i32.store8 (i32.const 2000000) (i32.const 8))
      (call $reply (i32.const 300) (i32.const 2)) (return (call $ok))))
    ;; l: an endless loop
    (if (i32.eq (local.get $op) (i32.const 0x6c)) (then (loop $forever (br $forever))))
    ;; s: a loop of that many million rounds, then an echo
    (if (i32.eq (local.get $op) (i32.const 0x73)) (then
      (call $spin (i64.mul (i64.extend_i32_u (local.get $number)) (i64.const 1000000)))
      (call $reply (local.get $data) (local.get $length)) (return (call $ok))))
    ;; m: all the memory there is, then abort as allocators do
    (if (i32.eq (local.get $op) (i32.const 0x6d)) (then
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable))
    ;; M: the same, but live with it
    (if (i32.eq (local.get $op) (i32.const 0x4d)) (then
      (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (return (call $ok))))
    ;; g: grow by that many pages and keep them
    (if (i32.eq (local.get $op) (i32.const 0x67)) (then
      (if (i32.eq (memory.grow (local.get $number)) (i32.const -1)) (then unreachable))
      (return (call $ok))))
    ;; d: deep recursion
    (if (i32.eq (local.get $op) (i32.const 0x64)) (then (drop (call $dive (i32.const 0)))))
    ;; t: a trap
    (if (i32.eq (local.get $op) (i32.const 0x74)) (then unreachable))
    ;; h: grow by that many pages, then send that many
    (if (i32.eq (local.get $op) (i32.const 0x68)) (then
      (if (i32.eq (memory.grow (local.get $number)) (i32.const -1)) (then unreachable))
      (call $reply (i32.const 0) (i32.shl (local.get $number) (i32.const 16)))
      ;; too-large is what it should have been told
      (if (i32.ne (i32.load8_u (i32.const 520)) (i32.const 1)) (then unreachable))
      (return (call $ok))))
    ;; f: that many log lines
    (if (i32.eq (local.get $op) (i32.const 0x66)) (then
      (loop $again
        (call $say (i32.const 1400) (i32.const 64))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $again (i32.lt_u (local.get $i) (local.get $number))))
      (return (call $ok))))
    ;; n: a log line that tries to be two, and to be red
    (if (i32.eq (local.get $op) (i32.const 0x6e)) (then
      (call $say (i32.const 1500) (i32.const 12)) (return (call $ok))))
    ;; w: a host call that waits
    (if (i32.eq (local.get $op) (i32.const 0x77)) (then
      (call $get (i32.const 1300) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 512)) (return (call $ok))))
    ;; W: the same, then an endless loop
    (if (i32.eq (local.get $op) (i32.const 0x57)) (then
      (call $get (i32.const 1300) (i32.const 4) (i32.const 1) (i32.const 0) (i32.const 512))
      (loop $forever (br $forever))))
    ;; v: the value of the key that follows, or "-"
    (if (i32.eq (local.get $op) (i32.const 0x76)) (then
      (call $get (i32.add (local.get $data) (i32.const 1)) (i32.sub (local.get $length) (i32.const 1))
        (i32.const 0) (i32.const 0) (i32.const 512))
      (if (i32.load8_u (i32.const 512)) (then unreachable))
      (if (i32.load8_u (i32.const 520)) (then
        (call $reply (i32.load (i32.const 524)) (i32.load (i32.const 528))) (return (call $ok))))
      (i32.store8 (i32.const 300) (i32.const 0x2d))
      (call $reply (i32.const 300) (i32.const 1)) (return (call $ok))))
    ;; p: the object that is named; an error is answered by the number of its case
    (if (i32.eq (local.get $op) (i32.const 0x70)) (then
      (call $object (i32.add (local.get $data) (i32.const 1)) (i32.sub (local.get $length) (i32.const 1)) (i32.const 512))
      (if (i32.load8_u (i32.const 512)) (then
        (call $reply (i32.const 520) (i32.const 1)) (return (call $ok))))
      (call $reply (i32.load (i32.const 520)) (i32.load (i32.const 524))) (return (call $ok))))
    ;; i: how many objects match the pattern; an error is answered by the number of its case
    (if (i32.eq (local.get $op) (i32.const 0x69)) (then
      (call $list (i32.const 1) (i32.add (local.get $data) (i32.const 1)) (i32.sub (local.get $length) (i32.const 1)) (i32.const 512))
      (if (i32.load8_u (i32.const 512)) (then
        (call $reply (i32.const 520) (i32.const 1)) (return (call $ok))))
      (i32.store8 (i32.const 300) (i32.add (i32.const 0x30) (i32.load (i32.const 524))))
      (call $reply (i32.const 300) (i32.const 1)) (return (call $ok))))
    ;; u: the channel it came on, or "-"
    (if (i32.eq (local.get $op) (i32.const 0x75)) (then
      (call $channel (i32.const 512))
      (if (i32.load8_u (i32.const 512)) (then
        (call $reply (i32.load (i32.const 516)) (i32.load (i32.const 520))) (return (call $ok))))
      (i32.store8 (i32.const 300) (i32.const 0x2d))
      (call $reply (i32.const 300) (i32.const 1)) (return (call $ok))))
    ;; a: attempt, milliseconds left (8 bytes), and the node's name
    (if (i32.eq (local.get $op) (i32.const 0x61)) (then
      (call $node (i32.const 512))
      (i32.store8 (i32.const 300) (call $attempt))
      (call $time_remaining (i32.const 544))
      (i64.store (i32.const 301) (i64.div_u (i64.load (i32.const 552)) (i64.const 1000000)))
      (memory.copy (i32.const 309) (i32.load (i32.const 512)) (i32.load (i32.const 516)))
      (call $reply (i32.const 300) (i32.add (i32.const 9) (i32.load (i32.const 516)))) (return (call $ok))))
    ;; o: outputs until they are refused, which must be because they are too many
    (if (i32.eq (local.get $op) (i32.const 0x6f)) (then
      (loop $again
        (call $reply (local.get $data) (local.get $length))
        (br_if $again (i32.eqz (i32.load8_u (i32.const 512)))))
      (if (i32.ne (i32.load8_u (i32.const 520)) (i32.const 4)) (then unreachable))
      (return (call $ok))))
    ;; j: rejected; k: transient
    (if (i32.eq (local.get $op) (i32.const 0x6a)) (then
      (return (call $failure (i32.const 0) (i32.const 1100) (i32.const 8)))))
    (if (i32.eq (local.get $op) (i32.const 0x6b)) (then
      (return (call $failure (i32.const 1) (i32.const 1200) (i32.const 12)))))
    (call $ok))

  (func (export "krt:node/handler@0.1.1#init") (result i32)
    (drop (call $max_payload))
    (;INIT;)
    (call $ok))

  (func (export "krt:node/handler@0.1.1#handle")
    (param $request i32) (param $request_length i32) (param $from i32) (param $from_length i32) (param $type i32)
    (param $some i32) (param $url i32) (param $url_length i32) (param $data i32) (param $length i32)
    (param $error i32) (param $text i32) (param $text_length i32) (result i32)
    (local $result i32)
    (local.set $result (call $handle (local.get $data) (local.get $length)))
    (global.set $bump (i32.const 65536))
    (local.get $result)))
