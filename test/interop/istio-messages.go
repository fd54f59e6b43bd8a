// Reads messages of ours, decodes them with Istio's own types, and answers with what these made of them.
//
// Each request is a line: the name of a message, `json` or `bytes`, and its bytes in base64. Each answer is a line of
// JSON: the message as Istio's types print it, if that is asked for, and as they encode it; or what is wrong with it.
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "istio.io/istio/pkg/workloadapi"
	_ "istio.io/istio/pkg/workloadapi/security"
	_ "istio.io/istio/pkg/zdsapi"
)

type answer struct {
	Json  json.RawMessage `json:"json,omitempty"`
	Bytes string          `json:"bytes"`
	Error string          `json:"error,omitempty"`
}

func main() {
	requests := bufio.NewScanner(os.Stdin)
	requests.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for requests.Scan() {
		words := strings.SplitN(requests.Text(), " ", 3)
		given, err := retell(protoreflect.FullName(words[0]), words[2], words[1] == "json")
		if err != nil {
			given = answer{Error: err.Error()}
		}
		if err := answers.Encode(given); err != nil {
			os.Exit(1)
		}
	}
}

func retell(name protoreflect.FullName, text string, print bool) (answer, error) {
	kind, err := protoregistry.GlobalTypes.FindMessageByName(name)
	if err != nil {
		return answer{}, err
	}
	bytes, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return answer{}, err
	}
	message := kind.New().Interface()
	if err := proto.Unmarshal(bytes, message); err != nil {
		return answer{}, err
	}
	if err := onlyKnown(message.ProtoReflect()); err != nil {
		return answer{}, err
	}
	var given answer
	if print {
		given.Json, err = protojson.MarshalOptions{UseEnumNumbers: true}.Marshal(message)
		if err != nil {
			return answer{}, err
		}
	}
	again, err := proto.Marshal(message)
	given.Bytes = base64.StdEncoding.EncodeToString(again)
	return given, err
}

// A field that Istio does not know would be lost without a word.
func onlyKnown(message protoreflect.Message) error {
	if unknown := message.GetUnknown(); len(unknown) > 0 {
		return fmt.Errorf("%s has %d bytes of fields that Istio does not know", message.Descriptor().FullName(), len(unknown))
	}
	var found error
	check := func(value protoreflect.Value) bool {
		found = onlyKnown(value.Message())
		return found == nil
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			if field.MapValue().Message() == nil {
				return true
			}
			value.Map().Range(func(_ protoreflect.MapKey, one protoreflect.Value) bool { return check(one) })
		case field.Message() == nil:
		case field.IsList():
			for i := 0; i < value.List().Len() && check(value.List().Get(i)); i++ {
			}
		default:
			check(value)
		}
		return found == nil
	})
	return found
}
