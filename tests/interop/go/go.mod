// The runner for nodes in Go that the tests stand in for the original's, and nodes on it. The client's version is the one
// that the original's runner was built with.
module krt.test/interop

go 1.24

require (
	github.com/nats-io/nats.go v1.25.0
	google.golang.org/protobuf v1.36.12
)

require (
	github.com/nats-io/nkeys v0.4.4 // indirect
	github.com/nats-io/nuid v1.0.1 // indirect
	golang.org/x/crypto v0.6.0 // indirect
	golang.org/x/sys v0.5.0 // indirect
)

tool google.golang.org/protobuf/cmd/protoc-gen-go
