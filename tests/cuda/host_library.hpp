// SPDX-License-Identifier: MIT
// Kernel text as functions of the host: build() compiles texts with tests/cuda/shim.hpp into shared
// objects and opens them. Objects are kept in a folder of the system's temporary one (or in the
// one that ETCH_TEST_CACHE names) under names made of all that they depend on, so that test
// programs share them. The compiler is g++, or what ETCH_TEST_CXX names.
#pragma once
#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace host_device {

/// As in tests/cuda/shim.hpp.
struct kernel_entry {
    const char *name, *file;
    std::size_t argument_bytes;
    void (*body)(const void* argument);
    const char* (*launch)(const kernel_entry*, const unsigned* grid, const unsigned* block,
                          const void* argument, unsigned seed);
};

struct host_kernel {
    const kernel_entry* entry = nullptr;
    unsigned most_threads = 1024;  // of __launch_bounds__

    /// Runs a grid over the argument's bytes. Returns what went wrong, or nothing.
    std::string run(std::array<unsigned, 3> grid, std::array<unsigned, 3> block,
                    const void* argument, unsigned seed = 0) const {
        const char* said = entry->launch(entry, grid.data(), block.data(), argument, seed);
        return said ? said : "";
    }
};

/// Whether kernels are compiled with the sanitizers, which end the process where they find
/// something. The process must have the address sanitizer as well: compiled in, or loaded before it
/// (see tests/cuda/sanitized).
inline bool sanitized() {
#if defined(__SANITIZE_ADDRESS__)
    return true;
#else
    return std::getenv("ETCH_TEST_SANITIZE") != nullptr;
#endif
}

struct build_options {
    bool sanitize = sanitized();
    std::string flags = "-O1";
};

namespace detail {

// ---- the parts of a text ------------------------------------------------------------------------

/// Without comments and with single spaces.
inline std::string canonical(std::string_view text) {
    std::string r;
    bool space = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i, 2) == "//") {
            i = std::min(text.find('\n', i), text.size());
            space = true;
        } else if (text.substr(i, 2) == "/*") {
            i = std::min(text.find("*/", i + 2), text.size() - 2) + 1;
            space = true;
        } else if (std::isspace(static_cast<unsigned char>(text[i]))) {
            space = true;
        } else {
            if (space && !r.empty()) r += ' ';
            space = false;
            r += text[i];
        }
    }
    return r;
}

/// The declarations of a text, one by one, with the comments before them.
inline std::vector<std::string> declarations(std::string_view text) {
    std::vector<std::string> all;
    std::size_t first = 0;
    int depth = 0;
    auto end_at = [&](std::size_t i) {
        all.emplace_back(text.substr(first, i + 1 - first));
        first = i + 1;
    };
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (text.substr(i, 2) == "//") {
            i = text.find('\n', i);
        } else if (text.substr(i, 2) == "/*") {
            i = text.find("*/", i + 2);
        } else if (c == '"' || c == '\'') {
            for (++i; i < text.size() && text[i] != c; ++i) i += text[i] == '\\' ? 1 : 0;
        } else if (c == '{' || c == '(') {
            ++depth;
        } else if (c == ')') {
            --depth;
        } else if (c == '}' && --depth == 0) {
            // The end of a function; structures and lists of values go on to a semicolon.
            std::size_t next = text.find_first_not_of(" \t\n", i + 1);
            if (next == text.npos || (text[next] != ';' && text[next] != ',')) end_at(i);
        } else if (c == ';' && depth == 0) {
            end_at(i);
        }
        if (i == text.npos) break;
    }
    return all;
}

struct kernel_name {
    std::string name;
    unsigned most_threads = 1024;
};
/// The kernels that a text without comments defines.
inline std::vector<kernel_name> kernels_of(std::string_view text) {
    std::vector<kernel_name> all;
    constexpr std::string_view word = "__global__", bounds = "__launch_bounds__";
    for (std::size_t i = text.find(word); i != text.npos; i = text.find(word, i)) {
        i += word.size();
        kernel_name k;
        std::size_t open = text.find('(', i);
        if (std::size_t b = text.find(bounds, i); b < open) {
            std::from_chars(text.data() + open + 1, text.data() + text.size(), k.most_threads);
            open = text.find('(', text.find(')', open));
        }
        if (open == text.npos) break;
        std::size_t end = text.find_last_not_of(' ', open - 1) + 1;
        std::size_t begin = text.find_last_of(" *&", end - 1) + 1;
        k.name = text.substr(begin, end - begin);
        all.push_back(k);
    }
    return all;
}

struct text_parts {
    std::string prelude;  // all before the line that begins with "// ---- kernels"
    std::vector<std::string> items;
    std::vector<kernel_name> kernels;
};
inline text_parts parts_of(const std::string& text) {
    text_parts r;
    std::size_t line = text.find("\n// ---- kernels");
    r.prelude = text.substr(0, line == text.npos ? text.size() : line + 1);
    if (line != text.npos) r.items = declarations(std::string_view(text).substr(line + 1));
    r.kernels = kernels_of(canonical(text));
    return r;
}

/// Declarations that can stand in one file. Two that begin alike and go on differently cannot.
struct source_file {
    static constexpr std::size_t most_bytes = 400'000;
    std::string prelude, items;
    std::map<std::string, std::string> by_beginning;
    std::vector<kernel_name> kernels;

    bool add(const text_parts& t) {
        if (t.prelude != prelude || items.size() > most_bytes) return false;
        std::vector<std::pair<std::string, std::string>> fresh;
        std::string fresh_text;
        for (const std::string& item : t.items) {
            std::string whole = canonical(item);
            std::string beginning = whole.substr(0, whole.find_first_of("{;="));
            auto known = by_beginning.find(beginning);
            if (known != by_beginning.end()) {
                if (known->second != whole) return false;
                continue;
            }
            fresh.emplace_back(beginning, whole);
            fresh_text += item;
        }
        by_beginning.insert(fresh.begin(), fresh.end());
        items += fresh_text;
        for (const kernel_name& k : t.kernels) {
            bool known = false;
            for (const kernel_name& other : kernels) known = known || other.name == k.name;
            if (!known) kernels.push_back(k);
        }
        return true;
    }
    std::string text() const {
        std::string r = prelude + items + "\n";
        for (const kernel_name& k : kernels) r += "ETCH_SHIM_KERNEL(" + k.name + ")\n";
        return r;
    }
};

// ---- the compiler -------------------------------------------------------------------------------

inline std::string compiler() {
    const char* named = std::getenv("ETCH_TEST_CXX");
    return named && *named ? named : "g++";
}
inline std::string read_file(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw std::runtime_error(path.string() + ": cannot be read");
    std::ostringstream text;
    text << file.rdbuf();
    return std::move(text).str();
}
/// The file appears when it is whole: other processes may be reading it.
inline void write_file(const std::filesystem::path& path, std::string_view text) {
    std::filesystem::path part = path;
    part += '.' + std::to_string(getpid());
    std::ofstream file(part, std::ios::binary);
    file << text;
    file.close();
    if (!file) throw std::runtime_error(part.string() + ": cannot be written");
    std::filesystem::rename(part, path);
}
inline std::string hash_text(std::string_view text) {
    std::string r;
    for (std::uint64_t h : {14695981039346656037ull, 88172645463325252ull}) {
        for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211ull;
        char digits[16];
        r.append(digits, std::to_chars(digits, digits + sizeof digits, h, 36).ptr);
    }
    return r;
}
inline const std::filesystem::path here = std::filesystem::absolute(__FILE__).parent_path();

/// Where objects are kept; only for this user. What has not been used for three days goes.
inline const std::filesystem::path& folder() {
    static const std::filesystem::path of_this_process = [] {
        namespace fs = std::filesystem;
        const char* named = std::getenv("ETCH_TEST_CACHE");
        fs::path f = named && *named ? fs::path(named)
                                     : fs::temp_directory_path() /
                                           ("etch_test_kernels_" + std::to_string(getuid()));
        fs::create_directories(f);
        struct stat about {};
        if (::stat(f.c_str(), &about) != 0 || about.st_uid != getuid())
            throw std::runtime_error(f.string() + ": does not belong to this user");
        fs::permissions(f, fs::perms::owner_all);
        std::error_code ignored;
        auto old = fs::file_time_type::clock::now() - std::chrono::hours(72);
        for (const auto& entry : fs::directory_iterator(f))
            if (auto used = entry.last_write_time(ignored); !ignored && used < old)
                fs::remove(entry, ignored);
        return f;
    }();
    return of_this_process;
}

inline std::string flags_of(const build_options& options) {
    std::string r =
        " -std=c++17 -g1 -w -fPIC -fvisibility=hidden -fno-strict-aliasing " + options.flags;
    if (compiler().find("clang") == std::string::npos) r += " -fno-gnu-unique";
    return r + (options.sanitize ? " -fsanitize=address,undefined -fno-sanitize-recover=all "
                                   "-fno-omit-frame-pointer"
                                 : " -fsanitize=alignment,bounds -fno-sanitize-recover=all");
}
/// Runs the compiler; `made` appears when it is whole. Throws with the compiler's words.
inline void compile(const std::string& arguments, const std::filesystem::path& made) {
    namespace fs = std::filesystem;
    if (fs::exists(made)) {
        std::error_code ignored;
        fs::last_write_time(made, fs::file_time_type::clock::now(), ignored);
        return;
    }
    fs::path part = made;
    part += '.' + std::to_string(getpid());
    fs::path log = part;
    log += ".log";
    // The compiler itself needs none of what tests/cuda/sanitized loads.
    std::string command = "LD_PRELOAD= " + compiler() + ' ' + arguments + " -o '" + part.string() +
                          "' > '" + log.string() + "' 2>&1";
    int status = std::system(command.c_str());
    std::string said = fs::exists(log) ? read_file(log) : "";
    fs::remove(log);
    if (status != 0)
        throw std::runtime_error("the host compiler refuses kernel text: " + command + "\n" +
                                 said.substr(0, 6000));
    fs::rename(part, made);
}
/// The header, compiled once for these options, as an argument of the compiler.
inline std::string header_argument(const build_options& options) {
    static const std::string shim = read_file(here / "shim.hpp") +
                                    read_file(here / "shim_fibers.hpp") +
                                    read_file(here / "shim_functions.hpp") + __VERSION__;
    std::filesystem::path header =
        folder() / ("shim_" + hash_text(shim + compiler() + flags_of(options)) + ".hpp");
    if (!std::filesystem::exists(header))
        write_file(header, "#include \"" + (here / "shim.hpp").string() + "\"\n");
    std::filesystem::path made = header;
    made += ".gch";
    compile(flags_of(options) + " -x c++-header '" + header.string() + "'", made);
    return " -include '" + header.string() + "'";
}
inline std::filesystem::path make_object(const std::string& text, const build_options& options,
                                         const char* ending, const char* flags) {
    std::string arguments = header_argument(options) + flags_of(options) + flags;
    std::filesystem::path source = folder() / ("kernels_" + hash_text(arguments + text) + ".cpp");
    std::filesystem::path made = source;
    made.replace_extension(ending);
    if (!std::filesystem::exists(made)) write_file(source, text);
    compile(arguments + " '" + source.string() + "'", made);
    return made;
}

}  // namespace detail

/// Kernels of texts, ready to run.
class host_library {
public:
    /// The kernel of that name in this very text; null if it has none, or the text was not built.
    const host_kernel* find(const std::string& text, std::string_view name) const {
        auto t = texts.find(text);
        if (t == texts.end()) return nullptr;
        auto k = t->second.find(name);
        return k == t->second.end() ? nullptr : &k->second;
    }
    bool contains(const std::string& text) const { return texts.contains(text); }

    /// Compiles what is not here yet, as few files. Throws what the compiler says.
    void add(const std::vector<std::string>& more, const build_options& options = {}) {
        std::vector<detail::source_file> files;
        std::vector<std::pair<const std::string*, std::size_t>> place;
        for (const std::string& text : more) {
            if (contains(text)) continue;
            detail::text_parts parts = detail::parts_of(text);
            std::size_t i = 0;
            while (i < files.size() && !files[i].add(parts)) ++i;
            if (i == files.size()) {
                files.emplace_back().prelude = parts.prelude;
                files.back().add(parts);
            }
            place.emplace_back(&text, i);
        }
        std::vector<void*> objects;
        for (const auto& file : files) {
            auto path = detail::make_object(file.text(), options, ".so", " -shared");
            void* object = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
            if (!object) throw std::runtime_error(std::string("dlopen: ") + dlerror());
            opened.emplace_back(object, [](void* o) { dlclose(o); });
            objects.push_back(object);
        }
        for (auto [text, i] : place) {
            auto& kernels = texts[*text];
            for (const auto& k : detail::parts_of(*text).kernels) {
                void* entry = dlsym(objects[i], (k.name + "_entry").c_str());
                if (!entry) throw std::runtime_error("no entry of kernel " + k.name);
                kernels[k.name] = {static_cast<const kernel_entry*>(entry), k.most_threads};
            }
        }
    }

private:
    std::vector<std::shared_ptr<void>> opened;
    std::map<std::string, std::map<std::string, host_kernel, std::less<>>> texts;
};

/// Compiles texts, as NVRTC gets them, for the host. A kernel that several have is compiled once.
inline host_library build(const std::vector<std::string>& texts,
                          const build_options& options = {}) {
    host_library library;
    library.add(texts, options);
    return library;
}

/// Makes an executable of a text and of a main function that may use `<kernel>_entry`: for the
/// address sanitizer, which must be in a process from its start. Returns its path.
inline std::filesystem::path build_program(const std::string& text, const std::string& main_text,
                                           const build_options& options = {}) {
    detail::source_file file;
    detail::text_parts parts = detail::parts_of(text);
    file.prelude = parts.prelude;
    file.add(parts);
    return detail::make_object(file.text() + main_text, options, ".exe", "");
}

}  // namespace host_device
