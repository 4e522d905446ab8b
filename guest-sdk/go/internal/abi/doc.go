// Package abi is the component's side of the contract, wit/krt-node.wit, by hand: the canonical ABI of one small world.
// Its signatures are checked against the contract when `krt build` makes the component.
//
// Addresses are 32 bits wide in the component and 64 in Go. What a call returns indirectly goes to one static area and
// is read before anything else runs: goroutines only take turns where Go's runtime lets them, and nothing between a call
// and the reading does.
package abi
