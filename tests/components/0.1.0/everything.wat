;; Imports every function of every interface of krt:node@0.1.0 and exports the handler, which relays the payload in hand.
;; Built by wit-component 0.258 against wit/released/0.1.0.wit. Such components exist in the world: never edit this.
(component
  (type $ty-krt:node/types@0.1.0 (;0;)
    (instance
      (type (;0;) (list u8))
      (type (;1;) (record (field "type-url" string) (field "data" 0)))
      (export (;2;) "payload" (type (eq 1)))
      (type (;3;) (enum "undefined" "ok" "error" "early-reply" "early-exit"))
      (export (;4;) "message-type" (type (eq 3)))
      (type (;5;) (option 2))
      (type (;6;) (option string))
      (type (;7;) (record (field "request-id" string) (field "from-node" string) (field "message-type" 4) (field "payload" 5) (field "error" 6)))
      (export (;8;) "message" (type (eq 7)))
    )
  )
  (import "krt:node/types@0.1.0" (instance $krt:node/types@0.1.0 (;0;) (type $ty-krt:node/types@0.1.0)))
  (alias export $krt:node/types@0.1.0 "payload" (type $payload (;1;)))
  (type $ty-krt:node/messaging@0.1.0 (;2;)
    (instance
      (alias outer 1 $payload (type (;0;)))
      (export (;1;) "payload" (type (eq 0)))
      (type (;2;) (enum "ok" "early-reply" "early-exit"))
      (export (;3;) "output-type" (type (eq 2)))
      (type (;4;) (variant (case "no-message") (case "too-large" u64) (case "invalid-channel" string) (case "invalid-type-url" string) (case "too-many" u32) (case "unavailable" string) (case "other" string)))
      (export (;5;) "send-error" (type (eq 4)))
      (type (;6;) (option string))
      (type (;7;) (result (error 5)))
      (type (;8;) (func (param "payload" 1) (param "output-type" 3) (param "channel" 6) (result 7)))
      (export (;0;) "send" (func (type 8)))
      (type (;9;) (func (param "output-type" 3) (param "channel" 6) (result 7)))
      (export (;1;) "relay" (func (type 9)))
      (type (;10;) (func (result u64)))
      (export (;2;) "max-payload" (func (type 10)))
    )
  )
  (import "krt:node/messaging@0.1.0" (instance $krt:node/messaging@0.1.0 (;1;) (type $ty-krt:node/messaging@0.1.0)))
  (type $ty-krt:node/delivery@0.1.0 (;3;)
    (instance
      (type (;0;) (func (result u32)))
      (export (;0;) "attempt" (func (type 0)))
      (type (;1;) (option u64))
      (type (;2;) (func (result 1)))
      (export (;1;) "time-remaining" (func (type 2)))
      (type (;3;) (option string))
      (type (;4;) (func (result 3)))
      (export (;2;) "channel" (func (type 4)))
      (export (;3;) "traceparent" (func (type 4)))
    )
  )
  (import "krt:node/delivery@0.1.0" (instance $krt:node/delivery@0.1.0 (;2;) (type $ty-krt:node/delivery@0.1.0)))
  (type $ty-krt:node/configuration@0.1.0 (;4;)
    (instance
      (type (;0;) (enum "node" "workflow" "project"))
      (export (;1;) "scope" (type (eq 0)))
      (type (;2;) (variant (case "invalid-key" string) (case "too-large" u64) (case "denied" string) (case "unavailable" string) (case "other" string)))
      (export (;3;) "error" (type (eq 2)))
      (type (;4;) (option 1))
      (type (;5;) (option string))
      (type (;6;) (result 5 (error 3)))
      (type (;7;) (func (param "key" string) (param "scope" 4) (result 6)))
      (export (;0;) "get" (func (type 7)))
      (type (;8;) (result (error 3)))
      (type (;9;) (func (param "key" string) (param "value" string) (param "scope" 4) (result 8)))
      (export (;1;) "set" (func (type 9)))
      (type (;10;) (func (param "key" string) (param "scope" 4) (result 8)))
      (export (;2;) "delete" (func (type 10)))
    )
  )
  (import "krt:node/configuration@0.1.0" (instance $krt:node/configuration@0.1.0 (;3;) (type $ty-krt:node/configuration@0.1.0)))
  (type $ty-krt:node/object-store@0.1.0 (;5;)
    (instance
      (type (;0;) (variant (case "not-declared") (case "not-found") (case "invalid-name" string) (case "too-large" u64) (case "denied" string) (case "unavailable" string) (case "other" string)))
      (export (;1;) "error" (type (eq 0)))
      (type (;2;) (list u8))
      (type (;3;) (result 2 (error 1)))
      (type (;4;) (func (param "name" string) (result 3)))
      (export (;0;) "get" (func (type 4)))
      (type (;5;) (result (error 1)))
      (type (;6;) (func (param "name" string) (param "data" 2) (result 5)))
      (export (;1;) "save" (func (type 6)))
      (type (;7;) (option string))
      (type (;8;) (list string))
      (type (;9;) (result 8 (error 1)))
      (type (;10;) (func (param "pattern" 7) (result 9)))
      (export (;2;) "list" (func (type 10)))
      (type (;11;) (func (param "name" string) (result 5)))
      (export (;3;) "delete" (func (type 11)))
      (type (;12;) (result u32 (error 1)))
      (type (;13;) (func (param "pattern" 7) (result 12)))
      (export (;4;) "purge" (func (type 13)))
    )
  )
  (import "krt:node/object-store@0.1.0" (instance $krt:node/object-store@0.1.0 (;4;) (type $ty-krt:node/object-store@0.1.0)))
  (type $ty-krt:node/measurements@0.1.0 (;6;)
    (instance
      (type (;0;) (variant (case "float" f64) (case "signed" s64) (case "unsigned" u64) (case "boolean" bool) (case "text" string)))
      (export (;1;) "value" (type (eq 0)))
      (type (;2;) (variant (case "invalid" string) (case "dropped") (case "other" string)))
      (export (;3;) "error" (type (eq 2)))
      (type (;4;) (tuple string 1))
      (type (;5;) (list 4))
      (type (;6;) (tuple string string))
      (type (;7;) (list 6))
      (type (;8;) (option s64))
      (type (;9;) (result (error 3)))
      (type (;10;) (func (param "name" string) (param "fields" 5) (param "tags" 7) (param "time" 8) (result 9)))
      (export (;0;) "save" (func (type 10)))
    )
  )
  (import "krt:node/measurements@0.1.0" (instance $krt:node/measurements@0.1.0 (;5;) (type $ty-krt:node/measurements@0.1.0)))
  (type $ty-krt:node/logging@0.1.0 (;7;)
    (instance
      (type (;0;) (enum "trace" "debug" "info" "warn" "error"))
      (export (;1;) "level" (type (eq 0)))
      (type (;2;) (func (result 1)))
      (export (;0;) "min-level" (func (type 2)))
      (type (;3;) (tuple string string))
      (type (;4;) (list 3))
      (type (;5;) (func (param "level" 1) (param "text" string) (param "fields" 4)))
      (export (;1;) "log" (func (type 5)))
    )
  )
  (import "krt:node/logging@0.1.0" (instance $krt:node/logging@0.1.0 (;6;) (type $ty-krt:node/logging@0.1.0)))
  (type $ty-krt:node/metadata@0.1.0 (;8;)
    (instance
      (type (;0;) (func (result string)))
      (export (;0;) "runtime-id" (func (type 0)))
      (export (;1;) "version" (func (type 0)))
      (export (;2;) "version-id" (func (type 0)))
      (export (;3;) "workflow" (func (type 0)))
      (export (;4;) "node" (func (type 0)))
      (export (;5;) "base-path" (func (type 0)))
    )
  )
  (import "krt:node/metadata@0.1.0" (instance $krt:node/metadata@0.1.0 (;7;) (type $ty-krt:node/metadata@0.1.0)))
  (core module $main (;0;)
    (type (;0;) (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32 i32)))
    (type (;2;) (func (result i64)))
    (type (;3;) (func (result i32)))
    (type (;4;) (func (param i32)))
    (type (;5;) (func (param i32 i32 i32 i32 i32 i32 i32)))
    (type (;6;) (func (param i32 i32 i32)))
    (type (;7;) (func (param i32 i32 i32 i32)))
    (type (;8;) (func (param i32 i32 i32 i32 i32 i32 i32 i64 i32)))
    (type (;9;) (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
    (type (;10;) (func (param i32 i32 i32 i32) (result i32)))
    (type (;11;) (func))
    (import "krt:node/messaging@0.1.0" "send" (func (;0;) (type 0)))
    (import "krt:node/messaging@0.1.0" "relay" (func (;1;) (type 1)))
    (import "krt:node/messaging@0.1.0" "max-payload" (func (;2;) (type 2)))
    (import "krt:node/delivery@0.1.0" "attempt" (func (;3;) (type 3)))
    (import "krt:node/delivery@0.1.0" "time-remaining" (func (;4;) (type 4)))
    (import "krt:node/delivery@0.1.0" "channel" (func (;5;) (type 4)))
    (import "krt:node/delivery@0.1.0" "traceparent" (func (;6;) (type 4)))
    (import "krt:node/configuration@0.1.0" "get" (func (;7;) (type 1)))
    (import "krt:node/configuration@0.1.0" "set" (func (;8;) (type 5)))
    (import "krt:node/configuration@0.1.0" "delete" (func (;9;) (type 1)))
    (import "krt:node/object-store@0.1.0" "get" (func (;10;) (type 6)))
    (import "krt:node/object-store@0.1.0" "save" (func (;11;) (type 1)))
    (import "krt:node/object-store@0.1.0" "list" (func (;12;) (type 7)))
    (import "krt:node/object-store@0.1.0" "delete" (func (;13;) (type 6)))
    (import "krt:node/object-store@0.1.0" "purge" (func (;14;) (type 7)))
    (import "krt:node/measurements@0.1.0" "save" (func (;15;) (type 8)))
    (import "krt:node/logging@0.1.0" "min-level" (func (;16;) (type 3)))
    (import "krt:node/logging@0.1.0" "log" (func (;17;) (type 1)))
    (import "krt:node/metadata@0.1.0" "runtime-id" (func (;18;) (type 4)))
    (import "krt:node/metadata@0.1.0" "version" (func (;19;) (type 4)))
    (import "krt:node/metadata@0.1.0" "version-id" (func (;20;) (type 4)))
    (import "krt:node/metadata@0.1.0" "workflow" (func (;21;) (type 4)))
    (import "krt:node/metadata@0.1.0" "node" (func (;22;) (type 4)))
    (import "krt:node/metadata@0.1.0" "base-path" (func (;23;) (type 4)))
    (memory (;0;) 1)
    (global $next (;0;) (mut i32) i32.const 4096)
    (export "krt:node/handler@0.1.0#init" (func 24))
    (export "cabi_post_krt:node/handler@0.1.0#init" (func 25))
    (export "krt:node/handler@0.1.0#handle" (func 26))
    (export "cabi_post_krt:node/handler@0.1.0#handle" (func 27))
    (export "memory" (memory 0))
    (export "cabi_realloc" (func 28))
    (export "_initialize" (func 29))
    (func (;24;) (type 3) (result i32)
      i32.const 1024
    )
    (func (;25;) (type 4) (param i32))
    (func (;26;) (type 9) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 2048
      call 1
      i32.const 4096
      global.set $next
      i32.const 1024
    )
    (func (;27;) (type 4) (param i32))
    (func (;28;) (type 10) (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      global.get $next
      i32.const 7
      i32.add
      i32.const -8
      i32.and
      local.set $at
      local.get $at
      local.get 3
      i32.add
      global.set $next
      global.get $next
      memory.size
      i32.const 65536
      i32.mul
      i32.gt_u
      if ;; label = @1
        i32.const -1
        i32.const 1
        local.get 3
        i32.const 65536
        i32.div_u
        i32.add
        memory.grow
        i32.eq
        if ;; label = @2
          unreachable
        end
      end
      local.get $at
    )
    (func (;29;) (type 11))
    (@producers
      (processed-by "wit-component" "0.258.3")
    )
  )
  (core module $wit-component-shim-module (;1;)
    (type (;0;) (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32 i32)))
    (type (;2;) (func (param i32)))
    (type (;3;) (func (param i32 i32 i32 i32 i32 i32 i32)))
    (type (;4;) (func (param i32 i32 i32)))
    (type (;5;) (func (param i32 i32 i32 i32)))
    (type (;6;) (func (param i32 i32 i32 i32 i32 i32 i32 i64 i32)))
    (table (;0;) 21 21 funcref)
    (export "0" (func 0))
    (export "1" (func 1))
    (export "2" (func 2))
    (export "3" (func 3))
    (export "4" (func 4))
    (export "5" (func 5))
    (export "6" (func 6))
    (export "7" (func 7))
    (export "8" (func 8))
    (export "9" (func 9))
    (export "10" (func 10))
    (export "11" (func 11))
    (export "12" (func 12))
    (export "13" (func 13))
    (export "14" (func 14))
    (export "15" (func 15))
    (export "16" (func 16))
    (export "17" (func 17))
    (export "18" (func 18))
    (export "19" (func 19))
    (export "20" (func 20))
    (export "$imports" (table 0))
    (func (;0;) (type 0) (param i32 i32 i32 i32 i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      local.get 6
      local.get 7
      local.get 8
      i32.const 0
      call_indirect (type 0)
    )
    (func (;1;) (type 1) (param i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      i32.const 1
      call_indirect (type 1)
    )
    (func (;2;) (type 2) (param i32)
      local.get 0
      i32.const 2
      call_indirect (type 2)
    )
    (func (;3;) (type 2) (param i32)
      local.get 0
      i32.const 3
      call_indirect (type 2)
    )
    (func (;4;) (type 2) (param i32)
      local.get 0
      i32.const 4
      call_indirect (type 2)
    )
    (func (;5;) (type 1) (param i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      i32.const 5
      call_indirect (type 1)
    )
    (func (;6;) (type 3) (param i32 i32 i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      local.get 6
      i32.const 6
      call_indirect (type 3)
    )
    (func (;7;) (type 1) (param i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      i32.const 7
      call_indirect (type 1)
    )
    (func (;8;) (type 4) (param i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      i32.const 8
      call_indirect (type 4)
    )
    (func (;9;) (type 1) (param i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      i32.const 9
      call_indirect (type 1)
    )
    (func (;10;) (type 5) (param i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      i32.const 10
      call_indirect (type 5)
    )
    (func (;11;) (type 4) (param i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      i32.const 11
      call_indirect (type 4)
    )
    (func (;12;) (type 5) (param i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      i32.const 12
      call_indirect (type 5)
    )
    (func (;13;) (type 6) (param i32 i32 i32 i32 i32 i32 i32 i64 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      local.get 6
      local.get 7
      local.get 8
      i32.const 13
      call_indirect (type 6)
    )
    (func (;14;) (type 1) (param i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      i32.const 14
      call_indirect (type 1)
    )
    (func (;15;) (type 2) (param i32)
      local.get 0
      i32.const 15
      call_indirect (type 2)
    )
    (func (;16;) (type 2) (param i32)
      local.get 0
      i32.const 16
      call_indirect (type 2)
    )
    (func (;17;) (type 2) (param i32)
      local.get 0
      i32.const 17
      call_indirect (type 2)
    )
    (func (;18;) (type 2) (param i32)
      local.get 0
      i32.const 18
      call_indirect (type 2)
    )
    (func (;19;) (type 2) (param i32)
      local.get 0
      i32.const 19
      call_indirect (type 2)
    )
    (func (;20;) (type 2) (param i32)
      local.get 0
      i32.const 20
      call_indirect (type 2)
    )
    (@producers
      (processed-by "wit-component" "0.258.3")
    )
  )
  (core instance $wit-component-shim-instance (;0;) (instantiate $wit-component-shim-module))
  (alias export $krt:node/types@0.1.0 "message" (type $message (;9;)))
  (type (;10;) (variant (case "rejected" string) (case "transient" string)))
  (alias core export $wit-component-shim-instance "0" (core func $indirect-krt:node/messaging@0.1.0-send (;0;)))
  (alias core export $wit-component-shim-instance "1" (core func $indirect-krt:node/messaging@0.1.0-relay (;1;)))
  (alias export $krt:node/messaging@0.1.0 "max-payload" (func $max-payload (;0;)))
  (core func $max-payload (;2;) (canon lower (func $max-payload)))
  (core instance $krt:node/messaging@0.1.0 (;1;)
    (export "send" (func $indirect-krt:node/messaging@0.1.0-send))
    (export "relay" (func $indirect-krt:node/messaging@0.1.0-relay))
    (export "max-payload" (func $max-payload))
  )
  (alias export $krt:node/delivery@0.1.0 "attempt" (func $attempt (;1;)))
  (core func $attempt (;3;) (canon lower (func $attempt)))
  (alias core export $wit-component-shim-instance "2" (core func $indirect-krt:node/delivery@0.1.0-time-remaining (;4;)))
  (alias core export $wit-component-shim-instance "3" (core func $indirect-krt:node/delivery@0.1.0-channel (;5;)))
  (alias core export $wit-component-shim-instance "4" (core func $indirect-krt:node/delivery@0.1.0-traceparent (;6;)))
  (core instance $krt:node/delivery@0.1.0 (;2;)
    (export "attempt" (func $attempt))
    (export "time-remaining" (func $indirect-krt:node/delivery@0.1.0-time-remaining))
    (export "channel" (func $indirect-krt:node/delivery@0.1.0-channel))
    (export "traceparent" (func $indirect-krt:node/delivery@0.1.0-traceparent))
  )
  (alias core export $wit-component-shim-instance "5" (core func $indirect-krt:node/configuration@0.1.0-get (;7;)))
  (alias core export $wit-component-shim-instance "6" (core func $indirect-krt:node/configuration@0.1.0-set (;8;)))
  (alias core export $wit-component-shim-instance "7" (core func $indirect-krt:node/configuration@0.1.0-delete (;9;)))
  (core instance $krt:node/configuration@0.1.0 (;3;)
    (export "get" (func $indirect-krt:node/configuration@0.1.0-get))
    (export "set" (func $indirect-krt:node/configuration@0.1.0-set))
    (export "delete" (func $indirect-krt:node/configuration@0.1.0-delete))
  )
  (alias core export $wit-component-shim-instance "8" (core func $indirect-krt:node/object-store@0.1.0-get (;10;)))
  (alias core export $wit-component-shim-instance "9" (core func $indirect-krt:node/object-store@0.1.0-save (;11;)))
  (alias core export $wit-component-shim-instance "10" (core func $indirect-krt:node/object-store@0.1.0-list (;12;)))
  (alias core export $wit-component-shim-instance "11" (core func $indirect-krt:node/object-store@0.1.0-delete (;13;)))
  (alias core export $wit-component-shim-instance "12" (core func $indirect-krt:node/object-store@0.1.0-purge (;14;)))
  (core instance $krt:node/object-store@0.1.0 (;4;)
    (export "get" (func $indirect-krt:node/object-store@0.1.0-get))
    (export "save" (func $indirect-krt:node/object-store@0.1.0-save))
    (export "list" (func $indirect-krt:node/object-store@0.1.0-list))
    (export "delete" (func $indirect-krt:node/object-store@0.1.0-delete))
    (export "purge" (func $indirect-krt:node/object-store@0.1.0-purge))
  )
  (alias core export $wit-component-shim-instance "13" (core func $indirect-krt:node/measurements@0.1.0-save (;15;)))
  (core instance $krt:node/measurements@0.1.0 (;5;)
    (export "save" (func $indirect-krt:node/measurements@0.1.0-save))
  )
  (alias export $krt:node/logging@0.1.0 "min-level" (func $min-level (;2;)))
  (core func $min-level (;16;) (canon lower (func $min-level)))
  (alias core export $wit-component-shim-instance "14" (core func $indirect-krt:node/logging@0.1.0-log (;17;)))
  (core instance $krt:node/logging@0.1.0 (;6;)
    (export "min-level" (func $min-level))
    (export "log" (func $indirect-krt:node/logging@0.1.0-log))
  )
  (alias core export $wit-component-shim-instance "15" (core func $indirect-krt:node/metadata@0.1.0-runtime-id (;18;)))
  (alias core export $wit-component-shim-instance "16" (core func $indirect-krt:node/metadata@0.1.0-version (;19;)))
  (alias core export $wit-component-shim-instance "17" (core func $indirect-krt:node/metadata@0.1.0-version-id (;20;)))
  (alias core export $wit-component-shim-instance "18" (core func $indirect-krt:node/metadata@0.1.0-workflow (;21;)))
  (alias core export $wit-component-shim-instance "19" (core func $indirect-krt:node/metadata@0.1.0-node (;22;)))
  (alias core export $wit-component-shim-instance "20" (core func $indirect-krt:node/metadata@0.1.0-base-path (;23;)))
  (core instance $krt:node/metadata@0.1.0 (;7;)
    (export "runtime-id" (func $indirect-krt:node/metadata@0.1.0-runtime-id))
    (export "version" (func $indirect-krt:node/metadata@0.1.0-version))
    (export "version-id" (func $indirect-krt:node/metadata@0.1.0-version-id))
    (export "workflow" (func $indirect-krt:node/metadata@0.1.0-workflow))
    (export "node" (func $indirect-krt:node/metadata@0.1.0-node))
    (export "base-path" (func $indirect-krt:node/metadata@0.1.0-base-path))
  )
  (core instance $main (;8;) (instantiate $main
      (with "krt:node/messaging@0.1.0" (instance $krt:node/messaging@0.1.0))
      (with "krt:node/delivery@0.1.0" (instance $krt:node/delivery@0.1.0))
      (with "krt:node/configuration@0.1.0" (instance $krt:node/configuration@0.1.0))
      (with "krt:node/object-store@0.1.0" (instance $krt:node/object-store@0.1.0))
      (with "krt:node/measurements@0.1.0" (instance $krt:node/measurements@0.1.0))
      (with "krt:node/logging@0.1.0" (instance $krt:node/logging@0.1.0))
      (with "krt:node/metadata@0.1.0" (instance $krt:node/metadata@0.1.0))
    )
  )
  (alias core export $main "memory" (core memory $memory (;0;)))
  (core module $wit-component-fixup (;2;)
    (type (;0;) (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32 i32)))
    (type (;2;) (func (param i32)))
    (type (;3;) (func (param i32 i32 i32 i32 i32 i32 i32)))
    (type (;4;) (func (param i32 i32 i32)))
    (type (;5;) (func (param i32 i32 i32 i32)))
    (type (;6;) (func (param i32 i32 i32 i32 i32 i32 i32 i64 i32)))
    (type (;7;) (func))
    (import "actual" "0" (func (;0;) (type 0)))
    (import "actual" "1" (func (;1;) (type 1)))
    (import "actual" "2" (func (;2;) (type 2)))
    (import "actual" "3" (func (;3;) (type 2)))
    (import "actual" "4" (func (;4;) (type 2)))
    (import "actual" "5" (func (;5;) (type 1)))
    (import "actual" "6" (func (;6;) (type 3)))
    (import "actual" "7" (func (;7;) (type 1)))
    (import "actual" "8" (func (;8;) (type 4)))
    (import "actual" "9" (func (;9;) (type 1)))
    (import "actual" "10" (func (;10;) (type 5)))
    (import "actual" "11" (func (;11;) (type 4)))
    (import "actual" "12" (func (;12;) (type 5)))
    (import "actual" "13" (func (;13;) (type 6)))
    (import "actual" "14" (func (;14;) (type 1)))
    (import "actual" "15" (func (;15;) (type 2)))
    (import "actual" "16" (func (;16;) (type 2)))
    (import "actual" "17" (func (;17;) (type 2)))
    (import "actual" "18" (func (;18;) (type 2)))
    (import "actual" "19" (func (;19;) (type 2)))
    (import "actual" "20" (func (;20;) (type 2)))
    (import "main" "_initialize" (func (;21;) (type 7)))
    (import "shim" "$imports" (table (;0;) 21 21 funcref))
    (start 21)
    (elem (;0;) (i32.const 0) func 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)
    (@producers
      (processed-by "wit-component" "0.258.3")
    )
  )
  (alias export $krt:node/messaging@0.1.0 "send" (func $send (;3;)))
  (alias core export $main "cabi_realloc" (core func $cabi_realloc (;24;)))
  (core func $"#core-func25 indirect-krt:node/messaging@0.1.0-send" (@name "indirect-krt:node/messaging@0.1.0-send") (;25;) (canon lower (func $send) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/messaging@0.1.0 "relay" (func $relay (;4;)))
  (core func $"#core-func26 indirect-krt:node/messaging@0.1.0-relay" (@name "indirect-krt:node/messaging@0.1.0-relay") (;26;) (canon lower (func $relay) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/delivery@0.1.0 "time-remaining" (func $time-remaining (;5;)))
  (core func $"#core-func27 indirect-krt:node/delivery@0.1.0-time-remaining" (@name "indirect-krt:node/delivery@0.1.0-time-remaining") (;27;) (canon lower (func $time-remaining) (memory $memory)))
  (alias export $krt:node/delivery@0.1.0 "channel" (func $channel (;6;)))
  (core func $"#core-func28 indirect-krt:node/delivery@0.1.0-channel" (@name "indirect-krt:node/delivery@0.1.0-channel") (;28;) (canon lower (func $channel) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/delivery@0.1.0 "traceparent" (func $traceparent (;7;)))
  (core func $"#core-func29 indirect-krt:node/delivery@0.1.0-traceparent" (@name "indirect-krt:node/delivery@0.1.0-traceparent") (;29;) (canon lower (func $traceparent) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/configuration@0.1.0 "get" (func $get (;8;)))
  (core func $"#core-func30 indirect-krt:node/configuration@0.1.0-get" (@name "indirect-krt:node/configuration@0.1.0-get") (;30;) (canon lower (func $get) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/configuration@0.1.0 "set" (func $set (;9;)))
  (core func $"#core-func31 indirect-krt:node/configuration@0.1.0-set" (@name "indirect-krt:node/configuration@0.1.0-set") (;31;) (canon lower (func $set) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/configuration@0.1.0 "delete" (func $delete (;10;)))
  (core func $"#core-func32 indirect-krt:node/configuration@0.1.0-delete" (@name "indirect-krt:node/configuration@0.1.0-delete") (;32;) (canon lower (func $delete) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/object-store@0.1.0 "get" (func $"#func11 get" (@name "get") (;11;)))
  (core func $"#core-func33 indirect-krt:node/object-store@0.1.0-get" (@name "indirect-krt:node/object-store@0.1.0-get") (;33;) (canon lower (func $"#func11 get") (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/object-store@0.1.0 "save" (func $save (;12;)))
  (core func $"#core-func34 indirect-krt:node/object-store@0.1.0-save" (@name "indirect-krt:node/object-store@0.1.0-save") (;34;) (canon lower (func $save) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/object-store@0.1.0 "list" (func $list (;13;)))
  (core func $"#core-func35 indirect-krt:node/object-store@0.1.0-list" (@name "indirect-krt:node/object-store@0.1.0-list") (;35;) (canon lower (func $list) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/object-store@0.1.0 "delete" (func $"#func14 delete" (@name "delete") (;14;)))
  (core func $"#core-func36 indirect-krt:node/object-store@0.1.0-delete" (@name "indirect-krt:node/object-store@0.1.0-delete") (;36;) (canon lower (func $"#func14 delete") (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/object-store@0.1.0 "purge" (func $purge (;15;)))
  (core func $"#core-func37 indirect-krt:node/object-store@0.1.0-purge" (@name "indirect-krt:node/object-store@0.1.0-purge") (;37;) (canon lower (func $purge) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/measurements@0.1.0 "save" (func $"#func16 save" (@name "save") (;16;)))
  (core func $"#core-func38 indirect-krt:node/measurements@0.1.0-save" (@name "indirect-krt:node/measurements@0.1.0-save") (;38;) (canon lower (func $"#func16 save") (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/logging@0.1.0 "log" (func $log (;17;)))
  (core func $"#core-func39 indirect-krt:node/logging@0.1.0-log" (@name "indirect-krt:node/logging@0.1.0-log") (;39;) (canon lower (func $log) (memory $memory) string-encoding=utf8))
  (alias export $krt:node/metadata@0.1.0 "runtime-id" (func $runtime-id (;18;)))
  (core func $"#core-func40 indirect-krt:node/metadata@0.1.0-runtime-id" (@name "indirect-krt:node/metadata@0.1.0-runtime-id") (;40;) (canon lower (func $runtime-id) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/metadata@0.1.0 "version" (func $version (;19;)))
  (core func $"#core-func41 indirect-krt:node/metadata@0.1.0-version" (@name "indirect-krt:node/metadata@0.1.0-version") (;41;) (canon lower (func $version) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/metadata@0.1.0 "version-id" (func $version-id (;20;)))
  (core func $"#core-func42 indirect-krt:node/metadata@0.1.0-version-id" (@name "indirect-krt:node/metadata@0.1.0-version-id") (;42;) (canon lower (func $version-id) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/metadata@0.1.0 "workflow" (func $workflow (;21;)))
  (core func $"#core-func43 indirect-krt:node/metadata@0.1.0-workflow" (@name "indirect-krt:node/metadata@0.1.0-workflow") (;43;) (canon lower (func $workflow) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/metadata@0.1.0 "node" (func $node (;22;)))
  (core func $"#core-func44 indirect-krt:node/metadata@0.1.0-node" (@name "indirect-krt:node/metadata@0.1.0-node") (;44;) (canon lower (func $node) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $krt:node/metadata@0.1.0 "base-path" (func $base-path (;23;)))
  (core func $"#core-func45 indirect-krt:node/metadata@0.1.0-base-path" (@name "indirect-krt:node/metadata@0.1.0-base-path") (;45;) (canon lower (func $base-path) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (core instance $actual (;9;)
    (export "0" (func $"#core-func25 indirect-krt:node/messaging@0.1.0-send"))
    (export "1" (func $"#core-func26 indirect-krt:node/messaging@0.1.0-relay"))
    (export "2" (func $"#core-func27 indirect-krt:node/delivery@0.1.0-time-remaining"))
    (export "3" (func $"#core-func28 indirect-krt:node/delivery@0.1.0-channel"))
    (export "4" (func $"#core-func29 indirect-krt:node/delivery@0.1.0-traceparent"))
    (export "5" (func $"#core-func30 indirect-krt:node/configuration@0.1.0-get"))
    (export "6" (func $"#core-func31 indirect-krt:node/configuration@0.1.0-set"))
    (export "7" (func $"#core-func32 indirect-krt:node/configuration@0.1.0-delete"))
    (export "8" (func $"#core-func33 indirect-krt:node/object-store@0.1.0-get"))
    (export "9" (func $"#core-func34 indirect-krt:node/object-store@0.1.0-save"))
    (export "10" (func $"#core-func35 indirect-krt:node/object-store@0.1.0-list"))
    (export "11" (func $"#core-func36 indirect-krt:node/object-store@0.1.0-delete"))
    (export "12" (func $"#core-func37 indirect-krt:node/object-store@0.1.0-purge"))
    (export "13" (func $"#core-func38 indirect-krt:node/measurements@0.1.0-save"))
    (export "14" (func $"#core-func39 indirect-krt:node/logging@0.1.0-log"))
    (export "15" (func $"#core-func40 indirect-krt:node/metadata@0.1.0-runtime-id"))
    (export "16" (func $"#core-func41 indirect-krt:node/metadata@0.1.0-version"))
    (export "17" (func $"#core-func42 indirect-krt:node/metadata@0.1.0-version-id"))
    (export "18" (func $"#core-func43 indirect-krt:node/metadata@0.1.0-workflow"))
    (export "19" (func $"#core-func44 indirect-krt:node/metadata@0.1.0-node"))
    (export "20" (func $"#core-func45 indirect-krt:node/metadata@0.1.0-base-path"))
  )
  (core instance $fixup (;10;) (instantiate $wit-component-fixup
      (with "actual" (instance $actual))
      (with "main" (instance $main))
      (with "shim" (instance $wit-component-shim-instance))
    )
  )
  (type (;11;) (result (error 10)))
  (type (;12;) (func (result 11)))
  (alias core export $main "krt:node/handler@0.1.0#init" (core func $krt:node/handler@0.1.0#init (;46;)))
  (alias core export $main "cabi_post_krt:node/handler@0.1.0#init" (core func $cabi_post_krt:node/handler@0.1.0#init (;47;)))
  (func $init (;24;) (type 12) (canon lift (core func $krt:node/handler@0.1.0#init) (memory $memory) string-encoding=utf8 (post-return $cabi_post_krt:node/handler@0.1.0#init)))
  (type (;13;) (func (param "message" $message) (result 11)))
  (alias core export $main "krt:node/handler@0.1.0#handle" (core func $krt:node/handler@0.1.0#handle (;48;)))
  (alias core export $main "cabi_post_krt:node/handler@0.1.0#handle" (core func $cabi_post_krt:node/handler@0.1.0#handle (;49;)))
  (func $handle (;25;) (type 13) (canon lift (core func $krt:node/handler@0.1.0#handle) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8 (post-return $cabi_post_krt:node/handler@0.1.0#handle)))
  (alias export $krt:node/types@0.1.0 "message-type" (type $message-type (;14;)))
  (alias export $krt:node/types@0.1.0 "payload" (type $"#type15 payload" (@name "payload") (;15;)))
  (component $krt:node/handler@0.1.0-shim-component (;0;)
    (type (;0;) (enum "undefined" "ok" "error" "early-reply" "early-exit"))
    (import "import-type-message-type" (type (;1;) (eq 0)))
    (type (;2;) (list u8))
    (type (;3;) (record (field "type-url" string) (field "data" 2)))
    (import "import-type-payload" (type (;4;) (eq 3)))
    (type (;5;) (option 4))
    (type (;6;) (option string))
    (type (;7;) (record (field "request-id" string) (field "from-node" string) (field "message-type" 1) (field "payload" 5) (field "error" 6)))
    (import "import-type-message" (type (;8;) (eq 7)))
    (type (;9;) (variant (case "rejected" string) (case "transient" string)))
    (import "import-type-failure" (type (;10;) (eq 9)))
    (type (;11;) (result (error 10)))
    (type (;12;) (func (result 11)))
    (import "import-func-init" (func (;0;) (type 12)))
    (import "import-type-message0" (type (;13;) (eq 8)))
    (type (;14;) (func (param "message" 13) (result 11)))
    (import "import-func-handle" (func (;1;) (type 14)))
    (export (;15;) "message" (type 8))
    (type (;16;) (variant (case "rejected" string) (case "transient" string)))
    (export (;17;) "failure" (type 16))
    (type (;18;) (result (error 17)))
    (type (;19;) (func (result 18)))
    (export (;2;) "init" (func 0) (func (type 19)))
    (type (;20;) (func (param "message" 15) (result 18)))
    (export (;3;) "handle" (func 1) (func (type 20)))
  )
  (instance $krt:node/handler@0.1.0-shim-instance (;8;) (instantiate $krt:node/handler@0.1.0-shim-component
      (with "import-func-init" (func $init))
      (with "import-func-handle" (func $handle))
      (with "import-type-message-type" (type $message-type))
      (with "import-type-payload" (type $"#type15 payload"))
      (with "import-type-message" (type $message))
      (with "import-type-failure" (type 10))
      (with "import-type-message0" (type $message))
    )
  )
  (export $krt:node/handler@0.1.0 (;9;) "krt:node/handler@0.1.0" (instance $krt:node/handler@0.1.0-shim-instance))
  (@producers
    (processed-by "wit-component" "0.258.3")
  )
)

