//go:build wasip1

package abi

import "unsafe"

// The imports of the world, flattened. A `string` is an address and a length. Where the last argument is `results`, the
// result is written there.

//go:wasmimport krt:node/messaging@0.1.1 send
func messagingSend(typeURL string, data unsafe.Pointer, length uint32, output uint32, hasChannel uint32, channel string, results unsafe.Pointer)

//go:wasmimport krt:node/messaging@0.1.1 relay
func messagingRelay(output uint32, hasChannel uint32, channel string, results unsafe.Pointer)

//go:wasmimport krt:node/messaging@0.1.1 max-payload
func messagingMaxPayload() uint64

//go:wasmimport krt:node/delivery@0.1.1 attempt
func deliveryAttempt() uint32

//go:wasmimport krt:node/delivery@0.1.1 time-remaining
func deliveryTimeRemaining(results unsafe.Pointer)

//go:wasmimport krt:node/delivery@0.1.1 channel
func deliveryChannel(results unsafe.Pointer)

//go:wasmimport krt:node/delivery@0.1.1 traceparent
func deliveryTraceparent(results unsafe.Pointer)

//go:wasmimport krt:node/configuration@0.1.1 get
func configurationGet(key string, hasScope uint32, scope uint32, results unsafe.Pointer)

//go:wasmimport krt:node/configuration@0.1.1 set
func configurationSet(key string, value string, hasScope uint32, scope uint32, results unsafe.Pointer)

//go:wasmimport krt:node/configuration@0.1.1 delete
func configurationDelete(key string, hasScope uint32, scope uint32, results unsafe.Pointer)

//go:wasmimport krt:node/object-store@0.1.1 get
func objectStoreGet(name string, results unsafe.Pointer)

//go:wasmimport krt:node/object-store@0.1.1 save
func objectStoreSave(name string, data unsafe.Pointer, length uint32, results unsafe.Pointer)

//go:wasmimport krt:node/object-store@0.1.1 list
func objectStoreList(hasPattern uint32, pattern string, results unsafe.Pointer)

//go:wasmimport krt:node/object-store@0.1.1 delete
func objectStoreDelete(name string, results unsafe.Pointer)

//go:wasmimport krt:node/object-store@0.1.1 purge
func objectStorePurge(hasPattern uint32, pattern string, results unsafe.Pointer)

//go:wasmimport krt:node/measurements@0.1.1 save
func measurementsSave(name string, fields unsafe.Pointer, fieldCount uint32, tags unsafe.Pointer, tagCount uint32, hasTime uint32, time int64, results unsafe.Pointer)

//go:wasmimport krt:node/predictions@0.1.1 save
func predictionsSave(predicted string, actual string, hasExtra uint32, extra string, hasTime uint32, time int64, results unsafe.Pointer)

//go:wasmimport krt:node/predictions@0.1.1 save-error
func predictionsSaveError(problem uint32, hasExtra uint32, extra string, hasTime uint32, time int64, results unsafe.Pointer)

//go:wasmimport krt:node/database@0.1.1 save
func databaseSave(collection string, document string, results unsafe.Pointer)

//go:wasmimport krt:node/database@0.1.1 find
func databaseFind(collection string, query string, results unsafe.Pointer)

//go:wasmimport krt:node/logging@0.1.1 min-level
func loggingMinLevel() uint32

//go:wasmimport krt:node/logging@0.1.1 log
func loggingLog(level uint32, text string, fields unsafe.Pointer, fieldCount uint32)

//go:wasmimport krt:node/metadata@0.1.1 runtime-id
func metadataRuntimeID(results unsafe.Pointer)

//go:wasmimport krt:node/metadata@0.1.1 version
func metadataVersion(results unsafe.Pointer)

//go:wasmimport krt:node/metadata@0.1.1 version-id
func metadataVersionID(results unsafe.Pointer)

//go:wasmimport krt:node/metadata@0.1.1 workflow
func metadataWorkflow(results unsafe.Pointer)

//go:wasmimport krt:node/metadata@0.1.1 node
func metadataNode(results unsafe.Pointer)

//go:wasmimport krt:node/metadata@0.1.1 base-path
func metadataBasePath(results unsafe.Pointer)
