// Package proto uses a module that the host does not have.
package proto

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"example.com/conformance/rows"
)

// Rows is what the host binds.
func Rows() []rows.Row {
	return []rows.Row{
		{Name: "messages over the wire", Run: wire},
		{Name: "json", Run: asJSON},
		{Name: "reflection", Run: reflection},
		{Name: "messages without generated code", Run: dynamic},
	}
}

func wire(w io.Writer) {
	s, err := structpb.NewStruct(map[string]any{"generation": generation, "list": []any{"a", true, nil}, "in": map[string]any{"x": 1.5}})
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	a, err := anypb.New(s)
	fmt.Fprintln(w, a.TypeUrl, err)
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	fmt.Fprintln(w, len(b), err)
	var back anypb.Any
	err = proto.Unmarshal(b, &back)
	m, err2 := back.UnmarshalNew()
	fmt.Fprintln(w, err, err2, proto.Equal(m, s), m.(*structpb.Struct).AsMap()["in"])
	fmt.Fprintln(w, proto.Unmarshal([]byte{0xff}, &back) != nil, proto.Clone(s).(*structpb.Struct).Fields["generation"].GetNumberValue())
}

// Texts of protobuf have spaces at random, so that nobody compares them.
func settled(b []byte, err error) string {
	return fmt.Sprint(strings.Join(strings.Fields(strings.NewReplacer(":", ": ", ",", ", ").Replace(string(b))), " "), err)
}

func asJSON(w io.Writer) {
	t := timestamppb.New(time.Unix(1700000000, 5000).UTC())
	s, _ := structpb.NewValue([]any{1, "x", map[string]any{"k": nil}})
	fmt.Fprintln(w, settled(protojson.Marshal(t)))
	fmt.Fprintln(w, settled(protojson.Marshal(s)))
	fmt.Fprintln(w, settled(prototext.Marshal(t)))
	var back structpb.Value
	fmt.Fprintln(w, protojson.Unmarshal([]byte(`{"a":[1,2]}`), &back), back.GetStructValue().Fields["a"].GetListValue().Values[1].GetNumberValue())
	fmt.Fprintln(w, protojson.Unmarshal([]byte(`{"a":`), &back) != nil)
}

func reflection(w io.Writer) {
	m := timestamppb.New(time.Unix(7, 9)).ProtoReflect()
	var fields []string
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		fields = append(fields, fmt.Sprint(f.FullName(), f.Kind(), f.Number(), v))
		return true
	})
	slices.Sort(fields) // Range has no order
	fmt.Fprintln(w, fields)
	fmt.Fprintln(w, m.Descriptor().ParentFile().Path(), m.Type().Descriptor().Fields().Len())
}

func dynamic(w io.Writer) {
	str, label := descriptorpb.FieldDescriptorProto_TYPE_STRING, descriptorpb.FieldDescriptorProto_LABEL_REPEATED
	file, err := protodesc.NewFile(&descriptorpb.FileDescriptorProto{
		Name: proto.String("x.proto"), Package: proto.String("x"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{
			Name:  proto.String("M"),
			Field: []*descriptorpb.FieldDescriptorProto{{Name: proto.String("names"), Number: proto.Int32(generation), Type: &str, Label: &label}},
		}},
	}, nil)
	if err != nil {
		fmt.Fprintln(w, err)
		return
	}
	d := file.Messages().ByName("M")
	m := dynamicpb.NewMessage(d)
	l := m.Mutable(d.Fields().ByName("names")).List()
	l.Append(protoreflect.ValueOfString("one"))
	l.Append(protoreflect.ValueOfString("two"))
	b, err := proto.Marshal(m)
	fmt.Fprintln(w, b, err, settled(protojson.Marshal(m)))
}
