;; Exports the handler of krt:node@0.1.0, which takes every message and does nothing; imports nothing but types.
;; Built by wit-component 0.258 against wit/released/0.1.0.wit. Such components exist in the world: never edit this.
(component
  (type $ty-krt:node/types@0.1.0 (;0;)
    (instance
      (type (;0;) (enum "undefined" "ok" "error" "early-reply" "early-exit"))
      (export (;1;) "message-type" (type (eq 0)))
      (type (;2;) (list u8))
      (type (;3;) (record (field "type-url" string) (field "data" 2)))
      (export (;4;) "payload" (type (eq 3)))
      (type (;5;) (option 4))
      (type (;6;) (option string))
      (type (;7;) (record (field "request-id" string) (field "from-node" string) (field "message-type" 1) (field "payload" 5) (field "error" 6)))
      (export (;8;) "message" (type (eq 7)))
    )
  )
  (import "krt:node/types@0.1.0" (instance $krt:node/types@0.1.0 (;0;) (type $ty-krt:node/types@0.1.0)))
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
    (memory (;0;) 1)
    (global $next (;0;) (mut i32) i32.const 4096)
    (export "krt:node/handler@0.1.0#init" (func 0))
    (export "cabi_post_krt:node/handler@0.1.0#init" (func 1))
    (export "krt:node/handler@0.1.0#handle" (func 2))
    (export "cabi_post_krt:node/handler@0.1.0#handle" (func 3))
    (export "memory" (memory 0))
    (export "cabi_realloc" (func 4))
    (export "_initialize" (func 5))
    (func (;0;) (type 3) (result i32)
      i32.const 1024
    )
    (func (;1;) (type 4) (param i32))
    (func (;2;) (type 9) (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      i32.const 4096
      global.set $next
      i32.const 1024
    )
    (func (;3;) (type 4) (param i32))
    (func (;4;) (type 10) (param i32 i32 i32 i32) (result i32)
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
    (func (;5;) (type 11))
    (@producers
      (processed-by "wit-component" "0.258.3")
    )
  )
  (alias export $krt:node/types@0.1.0 "message" (type $message (;1;)))
  (type (;2;) (variant (case "rejected" string) (case "transient" string)))
  (core instance $main (;0;) (instantiate $main))
  (alias core export $main "memory" (core memory $memory (;0;)))
  (core module $wit-component-fixup (;1;)
    (type (;0;) (func))
    (import "main" "_initialize" (func (;0;) (type 0)))
    (start 0)
    (@producers
      (processed-by "wit-component" "0.258.3")
    )
  )
  (core instance $fixup (;1;) (instantiate $wit-component-fixup
      (with "main" (instance $main))
    )
  )
  (type (;3;) (result (error 2)))
  (type (;4;) (func (result 3)))
  (alias core export $main "krt:node/handler@0.1.0#init" (core func $krt:node/handler@0.1.0#init (;0;)))
  (alias core export $main "cabi_post_krt:node/handler@0.1.0#init" (core func $cabi_post_krt:node/handler@0.1.0#init (;1;)))
  (func $init (;0;) (type 4) (canon lift (core func $krt:node/handler@0.1.0#init) (memory $memory) string-encoding=utf8 (post-return $cabi_post_krt:node/handler@0.1.0#init)))
  (type (;5;) (func (param "message" $message) (result 3)))
  (alias core export $main "krt:node/handler@0.1.0#handle" (core func $krt:node/handler@0.1.0#handle (;2;)))
  (alias core export $main "cabi_realloc" (core func $cabi_realloc (;3;)))
  (alias core export $main "cabi_post_krt:node/handler@0.1.0#handle" (core func $cabi_post_krt:node/handler@0.1.0#handle (;4;)))
  (func $handle (;1;) (type 5) (canon lift (core func $krt:node/handler@0.1.0#handle) (memory $memory) (realloc $cabi_realloc) string-encoding=utf8 (post-return $cabi_post_krt:node/handler@0.1.0#handle)))
  (alias export $krt:node/types@0.1.0 "message-type" (type $message-type (;6;)))
  (alias export $krt:node/types@0.1.0 "payload" (type $payload (;7;)))
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
  (instance $krt:node/handler@0.1.0-shim-instance (;1;) (instantiate $krt:node/handler@0.1.0-shim-component
      (with "import-func-init" (func $init))
      (with "import-func-handle" (func $handle))
      (with "import-type-message-type" (type $message-type))
      (with "import-type-payload" (type $payload))
      (with "import-type-message" (type $message))
      (with "import-type-failure" (type 2))
      (with "import-type-message0" (type $message))
    )
  )
  (export $krt:node/handler@0.1.0 (;2;) "krt:node/handler@0.1.0" (instance $krt:node/handler@0.1.0-shim-instance))
  (@producers
    (processed-by "wit-component" "0.258.3")
  )
)

