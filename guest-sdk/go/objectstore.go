package krt

import "github.com/konstellation-io/krt/guest-sdk/go/internal/bridge"

// ObjectStore is the object store that the manifest declares for this node: ctx.ObjectStore. Without one every call
// fails with [ErrNotDeclared].
type ObjectStore struct{ host bridge.Host }

// Get is the whole object. It fails with [ErrNotFound] when there is none of this name.
func (o ObjectStore) Get(name string) ([]byte, error) {
	data, refusal := o.host.GetObject(name)
	return data, refused(refusal, "get object %q", name)
}

// Save creates or replaces an object. It is stored when Save returns; a reader never sees half of one.
func (o ObjectStore) Save(name string, data []byte) error {
	return refused(o.host.SaveObject(name, data), "save object %q", name)
}

// List is the names in which a regular expression is found, or all; sorted.
func (o ObjectStore) List(pattern ...string) ([]string, error) {
	names, refusal := o.host.ListObjects(first(pattern))
	return names, refused(refusal, "list objects")
}

// Delete deletes an object. It fails with [ErrNotFound] when there is none of this name.
func (o ObjectStore) Delete(name string) error {
	return refused(o.host.DeleteObject(name), "delete object %q", name)
}

// Purge deletes all that List would name, and says how many there were. If it fails, some may be gone.
func (o ObjectStore) Purge(pattern ...string) (int, error) {
	count, refusal := o.host.PurgeObjects(first(pattern))
	return int(count), refused(refusal, "purge objects")
}
