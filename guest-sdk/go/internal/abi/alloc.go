//go:build wasip1

package abi

import (
	"strings"
	"unsafe"
)

// Memory that the host writes arguments and results into.
//
// It does not come from the Go heap: an allocation there may end a garbage collection, which reads the clock, and no
// import may be called while the host allocates ("cannot leave component instance"). So these are blocks beside the
// heap, filled from the bottom and used again as a whole once nobody reads what is in them. Nothing that is allocated
// here is handed on; readers copy.

//go:linkname sbrk runtime.sbrk
func sbrk(n uintptr) unsafe.Pointer

const (
	// A page of the component's memory.
	firstBlock = 64 << 10
	// Each block is twice as large as the one before, as long as there is memory: many more do not fit into 32 bits.
	maxBlocks = 32
)

type block struct{ base, size uintptr }

var (
	blocks [maxBlocks]block
	count  int
	// The block that is being filled.
	current int
	// What is free of it. The component takes from it by itself: these two stand where arenaAddress says, in this order.
	arena struct{ next, end uint32 }
	// How many are about to read what was allocated.
	readers int
)

// The functions that the host calls to allocate grow no stack either: what would run then is not theirs to say.

// The WASI adapter keeps its own state in what it allocates: never used again.
//
//go:nosplit
//go:wasmexport cabi_realloc_adapter
func reallocForAdapter(_ unsafe.Pointer, _, _, size uintptr) unsafe.Pointer {
	if memory := sbrk((size + 15) &^ 15); memory != nil {
		return memory
	}
	return exhausted()
}

// Results of imports.
//
//go:nosplit
//go:wasmexport cabi_import_realloc
func reallocForImports(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	return allocate(old, oldSize, align, size)
}

// Arguments of exports.
//
//go:nosplit
//go:wasmexport cabi_export_realloc
func reallocForExports(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	return allocate(old, oldSize, align, size)
}

//go:nosplit
func allocate(old unsafe.Pointer, oldSize, align, size uintptr) unsafe.Pointer {
	if size == 0 {
		return unsafe.Pointer(align)
	}
	for {
		if current == count {
			if !addBlock(align + size) {
				return exhausted()
			}
			fill()
		}
		start := (uintptr(arena.next) + align - 1) &^ (align - 1)
		if start+size > uintptr(arena.end) {
			current++
			if current < count {
				fill()
			}
			continue
		}
		arena.next = uint32(start + size)
		if oldSize > 0 {
			copy(unsafe.Slice((*byte)(unsafe.Pointer(start)), size), unsafe.Slice((*byte)(old), oldSize))
		}
		return unsafe.Pointer(start)
	}
}

// fill begins the current block from its bottom.
//
//go:nosplit
func fill() {
	b := &blocks[current]
	arena.next, arena.end = uint32(b.base), uint32(b.base+b.size)
}

// What is free of the block that is being filled. `krt build` gives the component allocators that look there first, and
// call those below when it is not enough: a call of Go costs more than what they do.
//
//go:nosplit
//go:wasmexport krt_arena
func arenaAddress() unsafe.Pointer { return unsafe.Pointer(&arena) }

// addBlock adds a block of at least this size.
//
//go:nosplit
func addBlock(size uintptr) bool {
	if count == maxBlocks {
		return false
	}
	needed := (size + firstBlock - 1) &^ (firstBlock - 1)
	wanted := needed
	if count > 0 && wanted < 2*blocks[count-1].size {
		wanted = 2 * blocks[count-1].size
	}
	memory := sbrk(wanted)
	if memory == nil {
		wanted = needed
		memory = sbrk(wanted)
	}
	if memory == nil {
		return false
	}
	blocks[count] = block{base: uintptr(memory), size: wanted}
	count++
	return true
}

// exhausted is an address that no memory has: the host ends the instance and says so. Go's own way to say it would
// write to standard error, from where nothing may be written.
//
//go:nosplit
func exhausted() unsafe.Pointer { return unsafe.Pointer(^uintptr(0)) }

// reading begins: what is allocated stays until done.
func reading() { readers++ }

// done ends the reading. The last one frees all.
func done() {
	if readers--; readers > 0 {
		return
	}
	if current = 0; count > 0 {
		fill()
	}
}

// text is a copy of what the host wrote.
func text(at unsafe.Pointer, length uint32) string {
	return strings.Clone(unsafe.String((*byte)(at), length))
}

// last is a text that is often the same as the time before.
type last string

// text is a copy of what the host wrote, the one before if that is the same.
func (l *last) text(at unsafe.Pointer, length uint32) string {
	if string(*l) != unsafe.String((*byte)(at), length) {
		*l = last(text(at, length))
	}
	return string(*l)
}

// data is a copy of what the host wrote.
func data(at unsafe.Pointer, length uint32) []byte {
	copied := make([]byte, length)
	copy(copied, unsafe.Slice((*byte)(at), length))
	return copied
}

func pointer(address uint32) unsafe.Pointer { return unsafe.Pointer(uintptr(address)) }

// address of memory of the Go heap, which does not move.
func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }
