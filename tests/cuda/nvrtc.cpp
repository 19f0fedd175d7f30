// SPDX-License-Identifier: MIT
// Text to code: options, architectures that NVRTC knows and does not know, what a failure says, ETCH_PRINT_KERNELS.
#include "catch.hpp"

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

#include <thread>

#include <sched.h>
#include <sys/mount.h>

#include "cuda/child.hpp"
#include "cuda/fake_nvrtc.hpp"
#include "sentence.hpp"

namespace cuda = etch::cuda;
using etch_test::fake;
using etch_test::with_fake_nvrtc;

namespace {

void contains(const std::string& text, const std::string& part) {
    CHECK_THAT(text, etch_test::contains(part));
}

const std::string kernel = "extern \"C\" __global__ void half(float* x, int n) {\n"
                           "    int i = blockIdx.x * blockDim.x + threadIdx.x;\n"
                           "    if (i < n) x[i] = tanhf(x[i]) / x[i + 1];\n"
                           "}\n";

std::string make(int architecture, bool fast_math = false) {
    return cuda::compile("text", architecture, {fast_math}, "model").cubin;
}

}  // namespace

TEST_CASE("the options are the device's architecture and those of etch") {
    with_fake_nvrtc use;
    CHECK(make(90) == "code 0 of text with --gpu-architecture=sm_90 --std=c++17 -default-device "
                      "--fmad=true --minimal ");
    CHECK(make(120, true) ==
          "code 0 of text with --gpu-architecture=sm_120 --std=c++17 -default-device --fmad=true "
          "--use_fast_math --minimal ");
}

TEST_CASE("a device that NVRTC does not know gets PTX of the newest older one") {
    with_fake_nvrtc use;
    for (auto [architecture, target] : {std::pair{89, "75"}, {103, "100"}, {130, "120"}})
        contains(make(architecture), std::string("--gpu-architecture=compute_") + target + ' ');
    std::string text = sentence_of([] { make(70); });
    contains(text, "NVRTC 13.0");
    contains(text, "compiles for devices of compute capability 7.5 or newer, and this one has 7.0; "
                   "please install an older NVRTC and let ETCH_NVRTC name it");
    CHECK(fake.compilations == 3);
}

TEST_CASE("an NVRTC that does not know --minimal compiles without it") {
    with_fake_nvrtc use;
    fake.knows_minimal = false;
    CHECK(make(90) ==
          "code 0 of text with --gpu-architecture=sm_90 --std=c++17 -default-device --fmad=true ");
    CHECK(fake.compilations == 1);
}

TEST_CASE("the log comes with the code") {
    with_fake_nvrtc use;
    fake.log = "model(1): warning\n";
    CHECK(cuda::compile("text", 90, {}, "model").log == "model(1): warning");
}

TEST_CASE("a compilation that fails shows the log and the text with the numbers of its lines") {
    with_fake_nvrtc use;
    fake.result = NVRTC_ERROR_COMPILATION;
    fake.log = "model(2): error: a bracket is missing\n";
    std::string text =
        sentence_of([] { cuda::compile("first line\nsecond line", 90, {}, "model"); });
    contains(text, "could not compile the kernels of model for sm_90: NVRTC_ERROR_COMPILATION\n"
                   "model(2): error: a bracket is missing\nthe text:\n    1  first line\n    2  "
                   "second line\n");
    fake.result = NVRTC_ERROR_OUT_OF_MEMORY;
    fake.log = "";
    text = sentence_of([] { make(90); });
    contains(text, "could not compile the kernels of model for sm_90: NVRTC_ERROR_OTHER");
    CHECK(text.find("the text") == std::string::npos);
}

TEST_CASE("an NVRTC without its builtins is named") {
    with_fake_nvrtc use;
    fake.result = NVRTC_ERROR_BUILTIN_OPERATION_FAILURE;
    fake.log = "nvrtc: error: failed to open libnvrtc-builtins.so.13.0.";
    std::string text = sentence_of([] { make(90); });
    contains(text, "cannot compile (NVRTC_ERROR_OTHER: nvrtc: error: failed to open "
                   "libnvrtc-builtins.so.13.0.); its libnvrtc-builtins must lie beside it: please "
                   "reinstall NVRTC, or let ETCH_NVRTC name a whole one");
}

TEST_CASE("a compilation leaves the locale of its thread alone") {
    with_fake_nvrtc use;
    fake.during_compile = [] {
        static locale_t other = newlocale(LC_ALL_MASK, "C", static_cast<locale_t>(nullptr));
        uselocale(other);
    };
    locale_t before = uselocale(static_cast<locale_t>(nullptr));
    make(90);
    CHECK(uselocale(static_cast<locale_t>(nullptr)) == before);
}

TEST_CASE("ETCH_PRINT_KERNELS shows the text") {
    with_fake_nvrtc use;
    auto run = [](const char* value) {
        return etch_test::in_child([&] {
            etch_test::environment e{{"ETCH_PRINT_KERNELS", value}};
            cuda::compile("the text", 90, {}, "model");
            return 0;
        });
    };
    CHECK(run("1").error == "// etch: kernels of model, compiled for sm_90\nthe text\n");
    for (const char* off : {static_cast<const char*>(nullptr), "", "0"}) {
        auto quiet = run(off);
        CHECK(quiet.code == 0);
        CHECK(quiet.error.empty());
    }
}

// In a namespace of its own /dev/null lies over the builtins, which NVRTC opens when it compiles first:
// this stands before the other tests that compile.
TEST_CASE("an NVRTC that was installed without its builtins is named") {
    if (!etch_test::have_nvrtc()) return;
    int major = 0, minor = 0;
    cuda::nvrtc().nvrtcVersion(&major, &minor);
    std::filesystem::path builtins = cuda::detail::file_of(cuda::nvrtc().nvrtcVersion);
    builtins = std::filesystem::canonical(builtins).parent_path() /
               ("libnvrtc-builtins.so." + std::to_string(major) + '.' + std::to_string(minor));
    if (!std::filesystem::exists(builtins))
        return etch_test::skip("NVRTC's builtins do not lie beside it");
    auto r = etch_test::in_child([&] {
        if (unshare(CLONE_NEWNS) != 0 ||
            mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
            mount("/dev/null", std::filesystem::canonical(builtins).c_str(), nullptr, MS_BIND,
                  nullptr) != 0)
            return 77;
        cuda::compile(kernel, 90, {}, "model");
        return 0;
    });
    if (r.code == 77) return etch_test::skip("mounting is not permitted");
    CHECK(r.code == 99);
    contains(r.error, "libnvrtc-builtins must lie beside it: please reinstall NVRTC");
}

TEST_CASE("NVRTC makes code for each architecture that it knows, and PTX for those to come") {
    if (!etch_test::have_nvrtc()) return;
    int count = 0;
    REQUIRE(cuda::nvrtc().nvrtcGetNumSupportedArchs(&count) == NVRTC_SUCCESS);
    std::vector<int> known(static_cast<std::size_t>(count), 0);
    cuda::nvrtc().nvrtcGetSupportedArchs(known.data());
    REQUIRE(count > 0);
    for (int architecture : known) {
        std::string code = cuda::compile(kernel, architecture, {}, "model").cubin;
        CHECK(code.starts_with("\x7f"
                               "ELF"));
        contains(code, "half");
    }
    std::string newest = std::to_string(known.back());
    std::string ptx = cuda::compile(kernel, known.back() + 60, {}, "model").cubin;
    contains(ptx, ".target sm_" + newest);
    contains(ptx, ".visible .entry half(");
    contains(sentence_of([] { cuda::compile(kernel, 20, {}, "model"); }), "this one has 2.0");
}

TEST_CASE("fast mathematics is another code") {
    if (!etch_test::have_nvrtc()) return;
    std::string exact = cuda::compile(kernel, 90, {false}, "model").cubin;
    std::string fast = cuda::compile(kernel, 90, {true}, "model").cubin;
    CHECK(fast.size() < exact.size());
    CHECK(cuda::compile(kernel, 90, {false}, "model").cubin == exact);
}

TEST_CASE("NVRTC's own message names the line of the text") {
    if (!etch_test::have_nvrtc()) return;
    std::string wrong = kernel;
    wrong.replace(wrong.find("tanhf"), 5, "tanhh");
    std::string text = sentence_of([&] { cuda::compile(wrong, 90, {}, "model.cu"); });
    contains(text, "NVRTC_ERROR_COMPILATION");
    contains(text, "model.cu(3): error: identifier \"tanhh\" is undefined");
    contains(text, "\n    3      if (i < n) x[i] = tanhh(x[i]) / x[i + 1];\n");
}

TEST_CASE("a kernel that needs more shared memory than there is shows how much it asks for") {
    if (!etch_test::have_nvrtc()) return;
    std::string text = sentence_of([&] {
        cuda::compile("extern \"C\" __global__ void half(float* x) {\n"
                      "    __shared__ float all[20000];\n"
                      "    all[threadIdx.x] = x[threadIdx.x];\n"
                      "    __syncthreads();\n"
                      "    x[threadIdx.x] = all[255 - threadIdx.x];\n"
                      "}\n",
                      90, {}, "model.cu");
    });
    contains(text, "could not compile the kernels of model.cu for sm_90");
    contains(text, "too much shared data");
    contains(text, "half");
}

TEST_CASE("many threads compile at once") {
    if (!etch_test::have_nvrtc()) return;
    std::string alone = cuda::compile(kernel, 90, {}, "model").cubin;
    std::vector<std::string> made(4);
    std::vector<std::thread> threads;
    for (auto& m : made)
        threads.emplace_back([&m] { m = cuda::compile(kernel, 90, {}, "model").cubin; });
    for (auto& t : threads) t.join();
    for (auto& m : made) CHECK(m == alone);
}

#else

TEST_CASE("kernels are compiled") { etch_test::skip("there are no headers of CUDA"); }

#endif
