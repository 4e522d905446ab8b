module typed

go 1.26

require (
	github.com/konstellation-io/krt/guest-sdk/go v0.1.0
	google.golang.org/protobuf v1.36.12
)
