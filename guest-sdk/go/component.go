//go:build wasip1

package krt

// The exports of the component.
import _ "github.com/konstellation-io/krt/guest-sdk/go/internal/abi"
