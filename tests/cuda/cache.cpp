// SPDX-License-Identifier: MIT
// Compiled kernels on disk: what is found again, what is never trusted, how large the folder grows, many processes of which
// some are killed, folders that cannot be written.
#include "catch.hpp"

#if __has_include(<cuda.h>) && __has_include(<nvrtc.h>)

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <etch/cuda/cache.hpp>

#include "cuda/child.hpp"
#include "cuda/fake_nvrtc.hpp"

namespace cuda = etch::cuda;
namespace files = std::filesystem;
using etch_test::child_result;
using etch_test::contains;
using etch_test::environment;
using etch_test::fake;
using etch_test::in_child;
using etch_test::scratch_folder;
using etch_test::with_fake_nvrtc;

namespace {

// The fake NVRTC and an empty folder of its own.
struct cache_in_scratch {
    with_fake_nvrtc use;
    scratch_folder scratch;
    std::string folder = scratch / "cache";
    environment e{{"ETCH_CACHE_DIR", folder.c_str()},
                  {"ETCH_CACHE_BYTES", nullptr},
                  {"ETCH_CACHE", nullptr},
                  {"ETCH_PRINT_KERNELS", nullptr}};
};

std::string get(const std::string& text) { return cuda::cached(text, 90, {}, "model"); }
std::string expected(const std::string& text) {
    return etch_test::fake_code(text, "--gpu-architecture=sm_90 --std=c++17 -default-device "
                                      "--fmad=true --minimal ");
}
std::string path_of(const std::string& folder, const std::string& text) {
    return folder + '/' + cuda::detail::entry_name(cuda::detail::cache_key(text, 90, {})) +
           ".cubin";
}

// Whether the code of the text comes without a compilation; throws if it is another's.
bool is_kept(const std::string& text) {
    int before = fake.compilations;
    if (get(text) != expected(text)) throw std::logic_error("the code is not that of " + text);
    return fake.compilations == before;
}

std::string content_of(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
}
std::vector<std::string> listing(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& f : files::directory_iterator(folder)) names.push_back(f.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}
void make_older(const std::string& path, int seconds) {
    timespec when{std::time(nullptr) - seconds, 0}, times[2]{when, when};
    REQUIRE(utimensat(AT_FDCWD, path.c_str(), times, 0) == 0);
}

}  // namespace

TEST_CASE("the hash is FNV-1a with 128 bits") {
    using cuda::detail::digest;
    using cuda::detail::digest_of;
    CHECK(digest_of("") == digest{0x6c62272e07bb0142u, 0x62b821756295c58du});
    CHECK(digest_of("a") == digest{0xd228cb696f1a8cafu, 0x78912b704e4a8964u});
    CHECK(digest_of("foobar") == digest{0x343e1662793c64bfu, 0x6f0d3597ba446f18u});
}

TEST_CASE("a text is compiled once for each of what its code depends on") {
    cache_in_scratch c;
    CHECK(!is_kept("int a;"));
    CHECK(is_kept("int a;"));
    CHECK(!is_kept("int b;"));
    auto compiles = [](int architecture, bool fast_math) {
        int before = fake.compilations;
        cuda::cached("int a;", architecture, {fast_math}, "model");
        return fake.compilations > before;
    };
    CHECK(compiles(100, false));
    CHECK(compiles(90, true));
    CHECK(!compiles(100, false));
    CHECK(!compiles(90, true));
    fake.minor = 1;
    CHECK(!is_kept("int a;"));
    fake.minor = 0;
    CHECK(is_kept("int a;"));
    int before = fake.compilations;
    CHECK(get("int a;  // model.cpp:7") == expected("int a;"));
    CHECK(get("// model.cpp:8\nint a;") == expected("int a;"));
    CHECK(fake.compilations == before);
    CHECK(listing(c.folder).size() == 5);
}

TEST_CASE("what a comment says does not matter, and all else does") {
    auto strip = cuda::detail::without_comments;
    CHECK(strip("a;  // x\nb; //\n  // alone\n\nc") == "a;\nb;\n\nc");
    CHECK(strip("// only") == "");
    CHECK(strip("a / b /") == "a / b /");
    for (std::string same : {
             "\"http://x\" '//' '\\'//' \"\\\"//\"",   // in strings and characters
             "/* // */ a /* b\n// c\n*/ d",            // in a comment of the other kind
             "R\"(\n// in a raw string\n)\"",          //
             "1'000 + \"//\" + 1'0 // kept",           // a separator in a number
             "a // goes on \\\n b // on the next",     // a comment of two lines
             "a // goes on \\ \r\n b // on the next",  //
             "a /\\\n/ b // after a comment in two pieces",
             "\"open\n 'open\n",
             "/* open // to the end",
         })
        CHECK(strip(same) == same);
    CHECK(strip("\"open // \n a // x") == "\"open // \n a");
    // A comment alone in a line ends a macro, so its line stays.
    CHECK(strip("#define A b \\\n// x\nc") == "#define A b \\\n\nc");
}

TEST_CASE("the folder comes from the first variable that names one") {
    environment clean{{"ETCH_CACHE_DIR", nullptr}, {"XDG_CACHE_HOME", nullptr}, {"HOME", "/me"}};
    CHECK(cuda::detail::cache_folder() == "/me/.cache/etch");
    environment xdg{{"XDG_CACHE_HOME", "/caches"}};
    CHECK(cuda::detail::cache_folder() == "/caches/etch");
    environment relative{{"XDG_CACHE_HOME", "caches"}};
    CHECK(cuda::detail::cache_folder() == "/me/.cache/etch");
    environment own{{"ETCH_CACHE_DIR", "here"}};
    CHECK(cuda::detail::cache_folder() == "here");
}

TEST_CASE("folders are made for the user alone, with those above them") {
    cache_in_scratch c;
    std::string deep = c.scratch / "a/b/c";
    environment e{{"ETCH_CACHE_DIR", deep.c_str()}};
    CHECK(!is_kept("x"));
    CHECK(is_kept("x"));
    CHECK(files::status(deep).permissions() == files::perms(0700));
}

TEST_CASE("ETCH_CACHE=0 leaves the disk alone") {
    cache_in_scratch c;
    environment e{{"ETCH_CACHE", "0"}};
    CHECK(!is_kept("x"));
    CHECK(!is_kept("x"));
    CHECK(!files::exists(c.folder));
}

TEST_CASE("an entry with any byte changed, missing or added is compiled again and replaced") {
    cache_in_scratch c;
    get("x");
    std::string path = path_of(c.folder, "x"), whole = content_of(path);
    REQUIRE(whole.size() > 100);
    std::size_t trusted = 0, kept = 0;
    auto check = [&](const std::string& damaged) {
        write_file(path, damaged);
        trusted += is_kept("x");
        kept += content_of(path) != whole;
    };
    for (std::size_t i = 0; i < whole.size(); ++i) {
        std::string damaged = whole;
        damaged[i] = static_cast<char>(damaged[i] ^ (1 << i % 8));
        check(damaged);
        check(whole.substr(0, i));
    }
    check(whole + "x");
    check(std::string(whole.size(), '\0'));
    CHECK(trusted == 0);
    CHECK(kept == 0);
    CHECK(is_kept("x"));
}

TEST_CASE("an entry of another text, or what is no file, is not trusted") {
    cache_in_scratch c;
    get("x");
    get("y");
    std::string path = path_of(c.folder, "x");
    files::copy_file(path_of(c.folder, "y"), path, files::copy_options::overwrite_existing);
    CHECK(!is_kept("x"));
    CHECK(is_kept("x"));
    files::remove(path);
    REQUIRE(mkfifo(path.c_str(), 0600) == 0);
    CHECK(!is_kept("x"));
    CHECK(is_kept("x"));
    // A folder stays what it is, and the compilation goes on.
    files::remove(path);
    files::create_directories(path + "/in");
    child_result r = in_child([] { return is_kept("x") ? 1 : 0; });
    CHECK(r.code == 0);
    CHECK_THAT(r.error, contains("cannot write " + path));
    CHECK(listing(c.folder).size() == 2);
}

TEST_CASE("the folder stays below its size, and what was used last stays") {
    cache_in_scratch c;
    fake.repeats = 100;
    for (const char* text : {"a", "b", "c"}) get(text);
    auto size = files::file_size(path_of(c.folder, "a"));
    std::string four = std::to_string(4 * size + size / 2);
    environment e{{"ETCH_CACHE_BYTES", four.c_str()}};
    int age = 1000;
    for (const char* text : {"a", "b", "c"}) make_older(path_of(c.folder, text), age--);
    CHECK(is_kept("a"));  // now b is the oldest
    get("d");
    CHECK(listing(c.folder).size() == 4);
    get("e");
    CHECK(listing(c.folder).size() == 4);
    CHECK(!files::exists(path_of(c.folder, "b")));
    for (const char* text : {"a", "c", "d", "e"}) CHECK(is_kept(text));

    // One that is larger than all together is not kept, and drives out no other.
    fake.repeats = 1000;
    get("large");
    CHECK(listing(c.folder).size() == 4);
    CHECK(!files::exists(path_of(c.folder, "large")));

    // A smaller limit than before holds from the next compilation.
    fake.repeats = 100;
    std::string two = std::to_string(2 * size + size / 2);
    environment less{{"ETCH_CACHE_BYTES", two.c_str()}};
    get("f");
    CHECK(listing(c.folder).size() == 2);
    CHECK(files::exists(path_of(c.folder, "f")));
    environment nothing{{"ETCH_CACHE_BYTES", "0"}};
    get("g");
    CHECK(listing(c.folder).empty());
}

TEST_CASE("a size that is no number switches the cache off and is said once") {
    cache_in_scratch c;
    for (const char* wrong : {"1e9", "256 MB", "-1", "9999999999999999999999"}) {
        child_result r = in_child([&] {
            environment e{{"ETCH_CACHE_BYTES", wrong}};
            return is_kept("x") || is_kept("x") ? 1 : 0;
        });
        CHECK(r.code == 0);
        CHECK(r.error == "etch: compiled kernels are not kept on disk: ETCH_CACHE_BYTES is \"" +
                             std::string(wrong) +
                             "\" and not a number of bytes (ETCH_CACHE_DIR names another folder, "
                             "ETCH_CACHE=0 switches this off)\n");
    }
    CHECK(!files::exists(c.folder));
}

TEST_CASE("what dead writers left is removed after an hour, and files of others never") {
    cache_in_scratch c;
    get("x");
    std::string name = files::path(path_of(c.folder, "x")).stem();
    std::string old = name + ".aB3xY9.tmp", young = name + ".aB3xY8.tmp";
    std::vector<std::string> others{
        "notes.txt",         "notes.cubin", name + "0.cubin",
        name + ".cubin.tmp", name,          name.substr(1) + ".aB3xY9.tmp"};
    others.push_back(young);
    for (const std::string& other : others) {
        write_file(c.folder + '/' + other, "text");
        if (other != young) make_older(c.folder + '/' + other, 100000);
    }
    write_file(c.folder + '/' + old, "text");
    make_older(c.folder + '/' + old, 3700);
    environment e{{"ETCH_CACHE_BYTES", "0"}};
    get("y");
    std::sort(others.begin(), others.end());
    CHECK(listing(c.folder) == others);
}

TEST_CASE("threads share the folder") {
    cache_in_scratch c;
    std::vector<std::thread> threads;
    std::atomic<int> wrong{0};
    for (int t = 0; t < 4; ++t)
        threads.emplace_back([&wrong] {
            for (int i = 0; i < 100; ++i) {
                std::string text = "text " + std::to_string(i % 10);
                wrong += get(text) != expected(text);
            }
        });
    for (auto& t : threads) t.join();
    CHECK(wrong == 0);
    CHECK(listing(c.folder).size() == 10);
    CHECK(fake.compilations <= 40);
}

// ---- folders that fail: the code comes all the same, and stderr has one sentence in a process ---------------------

namespace {

void check_failure(const child_result& r, const std::string& reason) {
    CHECK(r.code == 0);
    CHECK_THAT(r.error, Catch::Matchers::StartsWith(
                            "etch: compiled kernels are not kept on disk: cannot write "));
    CHECK_THAT(r.error, contains(".cubin: " + reason + " (ETCH_CACHE_DIR"));
    CHECK(std::count(r.error.begin(), r.error.end(), '\n') == 1);
}

// A user who is not root, whom permissions hold.
bool become_nobody() {
    constexpr unsigned nobody = 65534;
    return getuid() != 0 || (setgid(nobody) == 0 && setuid(nobody) == 0);
}

// 0 when neither call found an entry; both have checked the code.
int twice_compiled() { return is_kept("x") || is_kept("x") ? 1 : 0; }

// A file system of this size at the folder, seen by this process alone.
bool mount_here(const std::string& folder, const char* size) {
    return unshare(CLONE_NEWNS) == 0 &&
           mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("tmpfs", folder.c_str(), "tmpfs", 0, size) == 0;
}
constexpr int not_permitted = 77;

}  // namespace

TEST_CASE("no variable names a folder") {
    cache_in_scratch c;
    child_result r = in_child([] {
        environment e{{"ETCH_CACHE_DIR", nullptr}, {"XDG_CACHE_HOME", nullptr}, {"HOME", nullptr}};
        return twice_compiled();
    });
    CHECK(r.code == 0);
    CHECK(r.error == "etch: compiled kernels are not kept on disk: neither ETCH_CACHE_DIR nor "
                     "XDG_CACHE_HOME nor HOME names a folder (ETCH_CACHE_DIR names another folder, "
                     "ETCH_CACHE=0 switches this off)\n");
}

TEST_CASE("the folder is a file") {
    cache_in_scratch c;
    write_file(c.folder, "");
    check_failure(in_child(twice_compiled), "Not a directory");
}

TEST_CASE("the folder may not be written") {
    cache_in_scratch c;
    files::create_directories(c.folder);
    files::permissions(c.folder, files::perms(0555));
    check_failure(in_child([] { return become_nobody() ? twice_compiled() : 2; }),
                  "Permission denied");
    files::permissions(c.folder, files::perms(0755));
}

TEST_CASE("the folder may not be read, and entries may not") {
    cache_in_scratch c;
    get("x");
    files::permissions(path_of(c.folder, "x"), files::perms(0));
    files::permissions(c.folder, files::perms(0555));
    check_failure(in_child([] { return become_nobody() ? twice_compiled() : 2; }),
                  "Permission denied");
    files::permissions(c.folder, files::perms(0));
    check_failure(in_child([] { return become_nobody() ? twice_compiled() : 2; }),
                  "Permission denied");
    files::permissions(c.folder, files::perms(0755));
}

TEST_CASE("entries of a folder that may only be read are used") {
    cache_in_scratch c;
    get("x");
    files::permissions(path_of(c.folder, "x"), files::perms(0444));
    files::permissions(c.folder, files::perms(0555));
    child_result r = in_child([] { return become_nobody() && is_kept("x") ? 0 : 1; });
    CHECK(r.code == 0);
    CHECK(r.error.empty());
    files::permissions(c.folder, files::perms(0755));
}

TEST_CASE("a read-only file system") {
    cache_in_scratch c;
    files::create_directories(c.folder);
    child_result r = in_child([&] {
        if (!mount_here(c.folder, "size=1m")) return not_permitted;
        get("kept");
        if (mount("", c.folder.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr) != 0)
            return not_permitted;
        return is_kept("kept") ? twice_compiled() : 2;
    });
    if (r.code == not_permitted) return etch_test::skip("mounting is not permitted");
    check_failure(r, "Read-only file system");
}

TEST_CASE("a full disk") {
    cache_in_scratch c;
    files::create_directories(c.folder);
    fake.repeats = 10000;
    child_result r = in_child([&] {
        if (!mount_here(c.folder, "size=64k")) return not_permitted;
        int code = twice_compiled();
        return code == 0 && listing(c.folder).empty() ? 0 : 1;  // nothing half is left
    });
    if (r.code == not_permitted) return etch_test::skip("mounting is not permitted");
    check_failure(r, "No space left on device");
}

// ---- many processes -----------------------------------------------------------------------------------------------

namespace {

constexpr int texts_of_workers = 24;
std::string text_of_worker(int i) { return "text " + std::to_string(i); }
constexpr const char* worker_name = "a process that uses the cache as long as a file is there";

pid_t start_worker() {
    pid_t child = fork();
    if (child == 0) {
        int null = open("/dev/null", O_WRONLY);
        dup2(null, 1);
        execl("/proc/self/exe", "worker", worker_name, static_cast<char*>(nullptr));
        _exit(127);
    }
    return child;
}

// The file by which a worker says that it has started.
std::string sign_of(pid_t worker) {
    return std::getenv("ETCH_TEST_RUN") + ('.' + std::to_string(worker));
}
bool has_started(pid_t worker) {
    for (int i = 0; i < 30000 && !files::exists(sign_of(worker)); ++i)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return files::exists(sign_of(worker));
}

std::size_t temporaries(const std::string& folder) {
    std::size_t n = 0;
    for (const std::string& name : listing(folder)) n += name.ends_with(".tmp");
    return n;
}

}  // namespace

// Started by the next test, which names it: tests in brackets with a dot do not run by themselves.
TEST_CASE("a process that uses the cache as long as a file is there", "[.worker]") {
    const char* go = std::getenv("ETCH_TEST_RUN");
    if (!go) return etch_test::skip("this is a part of another test");
    alarm(300);  // where the other test died before it could remove the file
    with_fake_nvrtc use;
    fake.repeats = 5000;
    for (unsigned i = static_cast<unsigned>(getpid()); files::exists(go); i = i * 5 + 7) {
        std::string text = text_of_worker(static_cast<int>(i / 64 % texts_of_workers));
        REQUIRE(get(text) == expected(text));
        write_file(sign_of(getpid()), "");
    }
}

TEST_CASE("eight processes share the folder, and some are killed") {
    cache_in_scratch c;
    fake.repeats = 5000;
    auto size = static_cast<std::int64_t>(expected(text_of_worker(0)).size());
    // Room for a part of the texts, so that entries come and go all the time.
    std::string limit = std::to_string(size * texts_of_workers / 2), go = c.scratch / "go";
    environment e{{"ETCH_CACHE_BYTES", limit.c_str()}, {"ETCH_TEST_RUN", go.c_str()}};
    files::create_directories(c.folder);
    write_file(go, "");
    std::vector<pid_t> workers;
    for (int i = 0; i < 8; ++i) workers.push_back(start_worker());

    // Four of them die again and again when somebody writes, until some have been caught at it. The temporaries of the
    // living are at most eight.
    int killed = 0, rounds = 0;
    for (; rounds < 60 && (rounds < 6 || temporaries(c.folder) < 10); ++rounds) {
        for (int i = 0; i < 4; ++i) REQUIRE(has_started(workers[static_cast<std::size_t>(i)]));
        std::size_t left = temporaries(c.folder);
        for (int i = 0; i < 2000 && temporaries(c.folder) <= left; ++i)
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        for (int i = 0; i < 4; ++i) {
            pid_t& victim = workers[static_cast<std::size_t>(i)];
            kill(victim, SIGKILL);
            int status = 0;
            waitpid(victim, &status, 0);
            killed += WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
            victim = start_worker();
        }
    }
    CHECK(killed == 4 * rounds);  // none had stopped for another reason
    for (pid_t worker : workers) REQUIRE(has_started(worker));
    files::remove(go);
    for (pid_t worker : workers) {
        int status = 0;
        waitpid(worker, &status, 0);
        CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
    }

    // All who wrote are dead: what has no place was left by those that were killed.
    CHECK(temporaries(c.folder) > 0);
    std::size_t whole = 0, entries = 0;
    for (const std::string& name : listing(c.folder)) entries += name.ends_with(".cubin");
    std::string content;
    for (int i = 0; i < texts_of_workers; ++i) {
        std::string text = text_of_worker(i), path = path_of(c.folder, text);
        if (!files::exists(path)) continue;
        std::string key = cuda::detail::cache_key(text, 90, {});
        bool good = cuda::detail::read_entry(path, key, 1 << 30, content);
        whole += good && content == expected(text);
        CHECK(is_kept(text));
    }
    CHECK(whole == entries);
    CHECK(entries > 0);
    for (const std::string& name : listing(c.folder))
        if (name.ends_with(".tmp")) make_older(c.folder + '/' + name, 4000);
    get("another");
    CHECK(temporaries(c.folder) == 0);
    std::int64_t bytes = 0;
    for (const auto& f : files::directory_iterator(c.folder))
        bytes += static_cast<std::int64_t>(f.file_size());
    CHECK(bytes <= size * texts_of_workers / 2);
}

TEST_CASE("the real NVRTC's code comes back from the disk") {
    if (!etch_test::have_nvrtc()) return;
    scratch_folder scratch;
    environment e{{"ETCH_CACHE_DIR", scratch.path.c_str()},
                  {"ETCH_CACHE_BYTES", nullptr},
                  {"ETCH_CACHE", nullptr},
                  {"ETCH_PRINT_KERNELS", "1"}};
    std::string text = "extern \"C\" __global__ void twice(float* x) { x[threadIdx.x] *= 2; }\n";
    auto run = [&] {
        return in_child([&] {
            std::string code = cuda::cached(text, 90, {}, "model");
            return code == cuda::compile(text, 90, {}, "other").cubin ? 0 : 1;
        });
    };
    child_result first = run(), second = run();
    CHECK(first.code == 0);
    CHECK_THAT(first.error, Catch::Matchers::StartsWith(
                                "// etch: kernels of model, compiled for sm_90\n" + text));
    CHECK(second.code == 0);
    CHECK_THAT(second.error,
               Catch::Matchers::StartsWith("// etch: kernels of model, loaded for sm_90\n" + text));
}

#else

TEST_CASE("kernels are kept on disk") { etch_test::skip("there are no headers of CUDA"); }

#endif
