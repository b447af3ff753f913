#include "corpus/sentencepiece_bridge.h"

#include <dlfcn.h>
#include <sentencepiece_processor.h>

#include <cstddef>
#include <string_view>
#include <utility>

namespace kodistil {
namespace {

// The library carries a copy of an old protobuf and of some of Abseil, and
// exports them: linked into a program with another protobuf (gRPC has one),
// each would call the other's functions (docs/adr/0013-tokenizers.md). So it is
// loaded with names of its own, and called through them.
constexpr char kLibrary[] = "libsentencepiece.so.0";

// A returned util::Status. It is not trivial to copy, as the library's is not:
// so both are returned in memory that the caller provides (Itanium C++ ABI,
// section 3.1.3.1), and `this` follows as the first argument.
class Status {
 public:
  Status(const Status&) = delete;
  Status& operator=(const Status&) = delete;
  ~Status();

  bool ok() const { return rep_ == nullptr; }
  std::string message() const;

 private:
  void* rep_;
};
static_assert(sizeof(Status) == sizeof(sentencepiece::util::Status),
              "the library's status is a pointer");

struct Library {
  void (*construct)(void* processor) = nullptr;
  void (*destroy)(void* processor) = nullptr;
  Status (*load)(void* processor, std::string_view model) = nullptr;
  Status (*encode)(const void* processor, std::string_view text,
                   std::vector<std::string>* pieces) = nullptr;
  const char* (*error_message)(const void* status) = nullptr;
  void (*destroy_status)(void* status) = nullptr;
  std::string error;  // why it cannot be used
};

template <typename Function>
void Find(void* handle, const char* name, Library* library,
          Function* function) {
  *function = reinterpret_cast<Function>(dlsym(handle, name));
  if (*function == nullptr && library->error.empty()) {
    library->error = std::string(kLibrary) + " has no " + name +
                     ", expected SentencePiece 0.1.97";
  }
}

// With names of its own before those of the program.
void* Open() {
  constexpr int kFlags = RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND;
#if defined(__SANITIZE_ADDRESS__)
  // Refuses it: what the library frees it would not know.
  return dlopen(kLibrary, kFlags & ~RTLD_DEEPBIND);
#elif defined(__SANITIZE_THREAD__)
  // Its dlopen refuses it too, though it could do with it. Without, the
  // library's FLAGS_help would lie on Abseil's, which is smaller.
  static auto* const open = reinterpret_cast<decltype(&dlopen)>(
      dlsym(dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD), "dlopen"));
  return open(kLibrary, kFlags);
#else
  return dlopen(kLibrary, kFlags);
#endif
}

Library LoadLibrary() {
  Library library;
  void* const handle = Open();
  if (handle == nullptr) {
    library.error = std::string("SentencePiece cannot be loaded (Debian's ") +
                    "package libsentencepiece0): " + dlerror();
    return library;
  }
  const std::string spp = "N13sentencepiece22SentencePieceProcessor";
  const std::string view = "St17basic_string_viewIcSt11char_traitsIcEE";
  const std::string strings =
      "PSt6vectorINSt7__cxx1112basic_stringIcS3_SaIcEEESaIS9_EE";
  Find(handle, ("_Z" + spp + "C1Ev").c_str(), &library, &library.construct);
  Find(handle, ("_Z" + spp + "D1Ev").c_str(), &library, &library.destroy);
  Find(handle, ("_Z" + spp + "23LoadFromSerializedProtoE" + view).c_str(),
       &library, &library.load);
  Find(handle, ("_ZNK" + spp.substr(1) + "6EncodeE" + view + strings).c_str(),
       &library, &library.encode);
  Find(handle, "_ZNK13sentencepiece4util6Status13error_messageEv", &library,
       &library.error_message);
  Find(handle, "_ZN13sentencepiece4util6StatusD1Ev", &library,
       &library.destroy_status);
  return library;
}

// Loaded once, never unloaded.
const Library& GetLibrary() {
  static const Library* const library = new Library(LoadLibrary());
  return *library;
}

Status::~Status() { GetLibrary().destroy_status(this); }

std::string Status::message() const { return GetLibrary().error_message(this); }

}  // namespace

struct SentencePieceBridge::Processor {
  Processor() { GetLibrary().construct(memory); }
  ~Processor() { GetLibrary().destroy(memory); }

  alignas(sentencepiece::SentencePieceProcessor)
      std::byte memory[sizeof(sentencepiece::SentencePieceProcessor)];
};

SentencePieceBridge::SentencePieceBridge(std::unique_ptr<Processor> processor)
    : processor_(std::move(processor)) {}

SentencePieceBridge::~SentencePieceBridge() = default;

bool SentencePieceBridge::IsAvailable(std::string* error) {
  *error = GetLibrary().error;
  return error->empty();
}

std::unique_ptr<SentencePieceBridge> SentencePieceBridge::Create(
    const std::string& model, std::string* error) {
  if (!IsAvailable(error)) return nullptr;
  const Library& library = GetLibrary();
  auto processor = std::make_unique<Processor>();
  const Status status = library.load(processor->memory, model);
  if (!status.ok()) {
    *error = status.message();
    return nullptr;
  }
  return std::unique_ptr<SentencePieceBridge>(
      new SentencePieceBridge(std::move(processor)));
}

bool SentencePieceBridge::Encode(const std::string& text,
                                 std::vector<std::string>* pieces,
                                 std::string* error) const {
  const Status status = GetLibrary().encode(processor_->memory, text, pieces);
  if (!status.ok()) *error = status.message();
  return status.ok();
}

}  // namespace kodistil
