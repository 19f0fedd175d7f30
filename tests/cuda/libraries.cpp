// SPDX-License-Identifier: MIT
// The libraries of CUDA: opened on first use, the sentences when one is missing, old or not whole, tables replaced.
#include "catch.hpp"

#include <etch/cuda/cublaslt.hpp>

#include "cuda/child.hpp"
#include "sentence.hpp"

namespace cuda = etch::cuda;

#if !__has_include(<cuda.h>) || !__has_include(<nvrtc.h>)

TEST_CASE("without CUDA's headers there is a sentence and no device") {
    STATIC_REQUIRE(!cuda::built_with_cuda);
    std::string why;
    CHECK(!cuda::driver_available(&why));
    CHECK_THAT(why, etch_test::contains("compiled without CUDA headers"));
    CHECK_THAT(why, etch_test::contains("cuda.h and nvrtc.h"));
}

#else

#include <cmath>
#include <fstream>
#include <link.h>
#include <set>
#include <thread>

using etch_test::contains;
using etch_test::environment;
using etch_test::scratch_folder;

namespace {

bool is_loaded(const char* part_of_name) {
    struct search {
        const char* part;
        bool found;
    } s{part_of_name, false};
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* data) {
            auto& wanted = *static_cast<search*>(data);
            wanted.found =
                wanted.found || std::string(info->dlpi_name).find(wanted.part) != std::string::npos;
            return 0;
        },
        &s);
    return s.found;
}
const bool loaded_at_start =
    is_loaded("libcuda.so") || is_loaded("libnvrtc") || is_loaded("libcublasLt");

std::atomic<int> versions_asked{0};
int version_of_mathematics = 12010;

// A library that is everywhere, held in the way of CUDA's. `number` makes tables that were not opened yet.
template <int number> struct mathematics {
    static constexpr cuda::library_row row{
        "mathematics", "ETCH_TEST_MATHEMATICS", {"libm.so.6"}, 12000, "install a C library"};
    double (*cosine)(double) = nullptr;
    double (*hypotenuse)(double, double) = nullptr;
    template <class F> void each(F visit) {
        visit("cos", cosine);
        visit(number == 9 ? "etch_has_no_such_function" : "hypot_v2", hypotenuse);
    }
    static const char* older_name(std::string_view name) {
        return name == "hypot_v2" ? "hypot" : nullptr;
    }
    std::string version(int& v) const {
        ++versions_asked;
        v = version_of_mathematics;
        return version_of_mathematics < 0 ? "does not say its version" : "";
    }
};

// The same, looked for under a name that only a test's folder has.
template <int number> struct elsewhere : mathematics<number> {
    static constexpr cuda::library_row row{"mathematics",
                                           "ETCH_TEST_MATHEMATICS",
                                           {"libetch_test.so.2", "libetch_test.so.1"},
                                           12000,
                                           "install a C library"};
};

// A table of CUDA that no other test opened.
template <class Table, int number> struct fresh : Table {};

// The C library's file, which has no mathematics. (dlsym without a library may find a sanitizer's function.)
std::string file_of_c_library() {
    return cuda::detail::file_of(dlsym(dlopen("libc.so.6", RTLD_NOW), "puts"));
}

}  // namespace

TEST_CASE("no library of CUDA is loaded before its first use") { CHECK(!loaded_at_start); }

TEST_CASE("a table is filled on first use, once, by all threads") {
    versions_asked = 0;
    const mathematics<0>* seen[8]{};
    std::vector<std::thread> threads;
    for (auto& s : seen) threads.emplace_back([&s] { s = &cuda::library<mathematics<0>>(); });
    for (auto& t : threads) t.join();
    for (auto* s : seen) CHECK(s == seen[0]);
    CHECK(versions_asked == 1);
    CHECK(seen[0]->cosine(0) == 1);
    CHECK(seen[0]->hypotenuse(3, 4) == 5);  // under its older name
}

TEST_CASE("a table can be replaced, and the real one comes back") {
    const auto* real = &cuda::library<mathematics<1>>();
    mathematics<1> other = *real;
    other.cosine = [](double) { return 7.0; };
    cuda::replace(&other);
    CHECK(cuda::library<mathematics<1>>().cosine(0) == 7);
    cuda::replace<mathematics<1>>(nullptr);
    CHECK(&cuda::library<mathematics<1>>() == real);

    mathematics<2> first;
    first.cosine = [](double) { return 8.0; };
    cuda::replace(&first);  // before the library was opened
    CHECK(cuda::library<mathematics<2>>().cosine(0) == 8);
    cuda::replace<mathematics<2>>(nullptr);
    CHECK(cuda::library<mathematics<2>>().cosine(0) == 1);
}

TEST_CASE("a library that is too old is refused, and the next call tries again") {
    auto open = [] { cuda::library<mathematics<3>>(); };
    version_of_mathematics = 11080;
    std::string places = cuda::detail::where_looked(mathematics<3>::row);
    CHECK(sentence_of(open) ==
          "mathematics cannot be used (libm.so.6 is version 11.8); looked for " + places +
              "; please install a C library, version 12.0 or newer, or let ETCH_TEST_MATHEMATICS "
              "name the file");
    version_of_mathematics = -1;
    CHECK_THAT(sentence_of(open), contains("libm.so.6 does not say its version"));
    version_of_mathematics = 12010;
    CHECK(sentence_of(open) == "no mistake");
}

TEST_CASE("a library without a function is refused by the function's name") {
    CHECK_THAT(sentence_of([] { cuda::library<mathematics<9>>(); }),
               contains("libm.so.6 has no function etch_has_no_such_function"));
}

TEST_CASE("libraries are searched for in CUDA_HOME, and the first whole one is used") {
    scratch_folder home;
    environment e{{"CUDA_HOME", home.path.c_str()}, {"ETCH_TEST_MATHEMATICS", nullptr}};
    std::string text = sentence_of([] { cuda::library<elsewhere<0>>(); });
    CHECK_THAT(text,
               contains("mathematics was not found; looked for libetch_test.so.2 and "
                        "libetch_test.so.1 through the dynamic loader, in " +
                        home / "lib64" + ", in " + home / "lib" + ", in /usr/local/cuda/lib64"));

    // A newer one that is not whole, and an older one that is.
    std::filesystem::create_directories(home / "lib64");
    std::filesystem::create_directories(home / "lib");
    std::filesystem::create_symlink(file_of_c_library(), home / "lib64/libetch_test.so.2");
    CHECK_THAT(sentence_of([] { cuda::library<elsewhere<0>>(); }),
               contains("mathematics cannot be used (" + home / "lib64/libetch_test.so.2" +
                        " has no function cos"));
    std::filesystem::create_symlink(cuda::detail::file_of(cuda::library<mathematics<0>>().cosine),
                                    home / "lib/libetch_test.so.1");
    CHECK(cuda::library<elsewhere<0>>().cosine(0) == 1);
}

TEST_CASE("a variable names the file of a library, and no other is tried") {
    scratch_folder folder;
    std::string text_file = folder / "libtext.so", absent = folder / "absent.so";
    std::ofstream(text_file) << "no library";
    {
        environment e{{"ETCH_NVRTC", absent.c_str()}};
        CHECK(
            sentence_of([] { cuda::library<fresh<cuda::nvrtc_table, 0>>(); }) ==
            "NVRTC was not found; looked for " + absent +
                ", which ETCH_NVRTC names; please install NVRTC of the CUDA toolkit, version 12.1 "
                "or newer, or let ETCH_NVRTC name the file");
    }
    {
        environment e{{"ETCH_CUDA_DRIVER", text_file.c_str()}};
        std::string text = sentence_of([] { cuda::library<fresh<cuda::driver_table, 0>>(); });
        CHECK_THAT(text, contains("the CUDA driver cannot be used (" + text_file + ": "));
        CHECK_THAT(text, contains("please install NVIDIA's driver for CUDA, version 12.1"));
        CHECK_THAT(text, contains("ETCH_CUDA_DRIVER"));
    }
    {
        environment e{{"ETCH_NVRTC", "libm.so.6"}};
        CHECK_THAT(sentence_of([] { cuda::library<fresh<cuda::nvrtc_table, 0>>(); }),
                   contains("NVRTC cannot be used (libm.so.6 has no function nvrtcVersion"));
    }
#if __has_include(<cublasLt.h>)
    environment e{{"ETCH_CUBLASLT", "libm.so.6"}};
    CHECK_THAT(sentence_of([] { cuda::library<fresh<cuda::cublaslt_table, 0>>(); }),
               contains("cuBLASLt cannot be used (libm.so.6 has no function cublasLtCreate"));
#endif
}

TEST_CASE("the toolkit's stub of the driver is recognised") {
    for (const std::string& folder : cuda::detail::folders_of_toolkits()) {
        std::string stub = folder + "/stubs/libcuda.so";
        if (!std::filesystem::exists(stub)) continue;
        environment e{{"ETCH_CUDA_DRIVER", stub.c_str()}};
        CHECK_THAT(sentence_of([] { cuda::library<fresh<cuda::driver_table, 1>>(); }),
                   contains(stub + " is the toolkit's stub for linking and not a driver"));
        return;
    }
    etch_test::skip("there is no stub of the driver");
}

TEST_CASE("functions are looked up under the names to which cuda.h maps them") {
    cuda::driver_table d;
    std::set<std::string> names;
    d.each([&](const char* name, auto&) { CHECK(names.insert(name).second); });
    CHECK(names.size() == 44);
    for (const char* name : {"cuInit", "cuMemAlloc_v2", "cuMemcpyHtoDAsync_v2", "cuLaunchKernel",
                             "cuDevicePrimaryCtxRelease_v2", "cuStreamBeginCapture_v2"})
        CHECK(names.count(name) == 1);
    CHECK(std::string(cuda::driver_table::older_name("cuEventElapsedTime_v2")) ==
          "cuEventElapsedTime");
    CHECK(cuda::driver_table::older_name("cuMemAlloc_v2") == nullptr);
}

namespace {

CUresult result_of_init = CUDA_SUCCESS;
int number_of_devices = 1, version_of_driver = 12040, version_of_compiler = 13;

cuda::driver_table fake_driver() {
    cuda::driver_table d;
    d.cuInit = [](unsigned) { return result_of_init; };
    d.cuDeviceGetCount = [](int* n) {
        *n = number_of_devices;
        return CUDA_SUCCESS;
    };
    d.cuDriverGetVersion = [](int* v) {
        *v = version_of_driver;
        return CUDA_SUCCESS;
    };
    d.cuGetErrorName = [](CUresult r, const char** name) {
        *name = r == CUDA_ERROR_NO_DEVICE ? "CUDA_ERROR_NO_DEVICE" : nullptr;
        return *name ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    };
    d.cuGetErrorString = [](CUresult r, const char** text) {
        *text = r == CUDA_ERROR_NO_DEVICE ? "no CUDA-capable device is detected" : nullptr;
        return *text ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
    };
    return d;
}

}  // namespace

TEST_CASE("a driver is available when it starts and has a device") {
    cuda::driver_table d = fake_driver();
    cuda::replace(&d);
    std::string why = "before";
    CHECK(cuda::driver_available(&why));
    CHECK(why.empty());
    number_of_devices = 0;
    CHECK(!cuda::driver_available(&why));
    CHECK(why == "the CUDA driver has no device");
    number_of_devices = 1;
    result_of_init = CUDA_ERROR_NO_DEVICE;
    CHECK(!cuda::driver_available());
    CHECK(
        cuda::unavailable_reason() ==
        "the CUDA driver: cuInit failed with CUDA_ERROR_NO_DEVICE (100): no CUDA-capable device is "
        "detected");
    result_of_init = CUDA_SUCCESS;
    cuda::replace<cuda::driver_table>(nullptr);
}

TEST_CASE("a missing driver is a reason and no exception") {
    auto r = etch_test::in_child([] {
        setenv("ETCH_CUDA_DRIVER", "/nowhere/libcuda.so.1", 1);
        std::string why;
        bool there = cuda::driver_available(&why);
        std::fprintf(stderr, "%s", why.c_str());
        return there ? 1 : 0;
    });
    CHECK(r.code == 0);
    CHECK_THAT(r.error, contains("the CUDA driver was not found; looked for /nowhere/libcuda.so.1, "
                                 "which ETCH_CUDA_DRIVER names"));
}

TEST_CASE("a driver that is older than NVRTC is named when it refuses code") {
    cuda::driver_table d = fake_driver();
    cuda::nvrtc_table n;
    n.nvrtcVersion = [](int* major, int* minor) {
        *major = version_of_compiler;
        *minor = 0;
        return NVRTC_SUCCESS;
    };
    cuda::replace(&d);
    cuda::replace(&n);
    auto sentence = [] {
        return cuda::driver_sentence(CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "loading the kernels");
    };
    CHECK(
        sentence() ==
        "the CUDA driver: loading the kernels failed with CUresult (222); the driver is for CUDA "
        "12.4 and NVRTC is 13.0: please install a driver for CUDA 13.0 or newer, or let ETCH_NVRTC "
        "name an NVRTC of CUDA 12.4 or older");
    version_of_compiler = 12;
    CHECK(sentence() == "the CUDA driver: loading the kernels failed with CUresult (222)");
    version_of_compiler = 13;
    // Other failures have nothing to do with versions.
    CHECK(cuda::driver_sentence(CUDA_ERROR_OUT_OF_MEMORY, "cuMemAlloc") ==
          "the CUDA driver: cuMemAlloc failed with CUresult (2)");
    cuda::replace<cuda::nvrtc_table>(nullptr);
    cuda::replace<cuda::driver_table>(nullptr);
}

TEST_CASE("the libraries that are installed open") {
    bool any = false;
    std::string why;
    auto open = [&](auto get) {
        why = sentence_of([&] {
            int version = 0;
            CHECK(get().version(version).empty());
            CHECK(version >= 12010);
            any = true;
        });
    };
    open([]() -> auto& { return cuda::nvrtc(); });
#if __has_include(<cublasLt.h>)
    open([]() -> auto& { return cuda::cublaslt(); });
#endif
    if (!any) etch_test::skip(why.c_str());
}

#endif
