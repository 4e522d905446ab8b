// Writes envelopes with Go's protobuf runtime: golden FOLDER. Its twin is python/golden.py.
package main

import (
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"krt.test/interop/pb/envelope"
	"krt.test/interop/pb/probe"
)

const id = "5f0c0a3e-7a40-4b3a-9a53-0f3f9d1b2c77"

func main() {
	folder := os.Args[1]
	job := &probe.Job{Path: []string{"etl"}, Data: []byte{0, 1, 254, 255}}
	payload := must(anypb.New(job))
	write := func(name string, data []byte) {
		if err := os.WriteFile(filepath.Join(folder, name+".go.bin"), data, 0o644); err != nil {
			panic(err)
		}
	}
	put := func(name string, message *envelope.KreNatsMessage) {
		write(name, must(proto.Marshal(message)))
	}
	of := func(kind envelope.MessageType) *envelope.KreNatsMessage {
		return &envelope.KreNatsMessage{RequestId: id, Payload: payload, FromNode: "etl", MessageType: kind}
	}
	put("ok", of(envelope.MessageType_OK))
	put("early-reply", of(envelope.MessageType_EARLY_REPLY))
	put("early-exit", of(envelope.MessageType_EARLY_EXIT))
	put("error", &envelope.KreNatsMessage{
		RequestId: id, Error: "error in node 'etl': ünlesbar\n", FromNode: "etl", MessageType: envelope.MessageType_ERROR,
	})
	put("undefined", &envelope.KreNatsMessage{RequestId: id, Payload: &anypb.Any{}, FromNode: "etl"})
	put("empty", &envelope.KreNatsMessage{})
	large := of(envelope.MessageType_OK)
	large.Payload = must(anypb.New(&probe.Job{Data: bytes.Repeat([]byte("krt "), 1000)}))
	plain := must(proto.Marshal(large))
	write("large", plain)
	var packed bytes.Buffer
	writer := must(gzip.NewWriterLevel(&packed, gzip.BestCompression))
	must(writer.Write(plain))
	if err := writer.Close(); err != nil {
		panic(err)
	}
	write("large-gzip", packed.Bytes())
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
