# The R side of the bridge to Python. Loading the package declares what it needs of Python, but does not
# start it.

bridge_cache <- new.env(parent = emptyenv())

.onLoad <- function(libname, pkgname) {
  declare_requirements()
  register_engine_with_parsnip()
}

# From version 1.41 on, reticulate makes an environment of all that packages have declared, when Python
# is first used and the user has named no other.
reticulate_installs <- function() utils::packageVersion("reticulate") >= "1.41"

declare_requirements <- function() {
  # Older versions have no reticulate::py_require().
  if (reticulate_installs()) {
    getExportedValue("reticulate", "py_require")(python_requirements(), python_version = ">=3.10")
  }
}

#' Is Python ready?
#'
#' Training, attacks and prediction with a trained network run in Python with torch. The rest of the
#' package is plain R. `sense_available()` starts Python. With reticulate 1.41 or later this makes the
#' environment that [install_sense()] describes, if no other was named; in `R CMD check` it is `FALSE`
#' instead.
#'
#' @return `sense_available()`: `TRUE` or `FALSE`.
#' @examples
#' sense_available()
#' @family functions to train
#' @export
sense_available <- function() is.null(python_problem())

#' Install the Python packages of sense
#'
#' With reticulate 1.41 or later nothing has to be installed by hand: when [train_sense()] or another
#' function first needs Python, reticulate makes an environment with the Python packages that this
#' package declares, among them torch (some hundred megabytes, or some gigabytes with support for GPUs).
#' It is kept in a cache and used again. `Sys.setenv(UV_INDEX = "https://download.pytorch.org/whl/cpu")`
#' before that selects the version of torch without GPUs.
#'
#' `install_sense()` does the same for older versions of reticulate, or for an environment of one's own,
#' which comes before that of reticulate: it creates a virtual environment and installs the packages. Run
#' it once, then restart R.
#'
#' @param envname Name or path of the virtual environment. The environment `r-sense` is found
#'   automatically; any other must be named with [reticulate::use_virtualenv()] in each session.
#' @param python Path of a Python, 3.10 or newer. Default: reticulate looks for one.
#' @param constraints A file with versions of packages, as for pip's `--constraint`, or `NULL`.
#' @return The name of the environment, invisibly.
#' @examples
#' \dontrun{
#' install_sense()
#' }
#' @family functions to train
#' @export
install_sense <- function(envname = "r-sense", python = NULL, constraints = NULL) {
  check_string(envname)
  check_string(python, allow_null = TRUE)
  check_string(constraints, allow_null = TRUE)
  if (!is.null(python) && !nzchar(Sys.which(path.expand(python)))) {
    abort("{.arg python} must be the path of a Python: there is none at {.file {python}}.")
  }
  if (!is.null(constraints) && !file.exists(constraints)) {
    abort("{.arg constraints} must be the path of a file: there is no {.file {constraints}}.")
  }
  reticulate::virtualenv_create(envname, python = python, packages = NULL)
  reticulate::virtualenv_install(
    envname, python_requirements(),
    pip_options = if (!is.null(constraints)) {
      c("--constraint", shQuote(normalizePath(constraints)))
    } else {
      character()
    }
  )
  cli::cli_inform("Python is ready in {.val {envname}}: restart R to use it.")
  invisible(envname)
}

# The requirements of the Python package, and that of old versions of reticulate.
python_requirements <- function() {
  needed <- readLines(file.path(python_source(), "sense", "requirements.txt"))
  if (old_reticulate()) c("numpy<2", needed) else needed
}

# Each module has the name of its requirement. Those with a marker are for some versions of Python.
python_modules <- function() {
  sub("[<>=].*", "", grep(";", python_requirements(), value = TRUE, invert = TRUE))
}

# reticulate < 1.38 cannot convert arrays of numpy 2 (its issue 1620).
old_reticulate <- function() utils::packageVersion("reticulate") < "1.38"

python_source <- function() system.file("python", package = "sense", mustWork = TRUE)

# The Python module that R calls, or an error that says how to install Python.
sense_bridge <- function(call = parent.frame()) {
  if (is.null(bridge_cache$module)) {
    problem <- python_problem()
    if (!is.null(problem)) {
      named <- Sys.getenv("RETICULATE_PYTHON")
      abort(
        c(
          "This needs Python with torch: run {.code sense::install_sense()} and restart R ({problem}).",
          i = if (nzchar(named)) "RETICULATE_PYTHON is set, to {.file {named}}: that Python is used in any case. Unset it, or install there."
        ),
        call = call, class = "sense_no_python"
      )
    }
    bridge_cache$module <- reticulate::import_from_path(
      "sense.bridge", path = python_source(), convert = TRUE
    )
  }
  bridge_cache$module
}

# Why Python cannot be used, or NULL.
python_problem <- function() {
  if (checked_without_python()) {
    return("R CMD check, where reticulate would install it")
  }
  prefer_own_environment()
  if (!quietly_start_python()) {
    return("no Python was found")
  }
  path <- reticulate::py_config()$python
  # torch is loaded first, as in the shell.
  for (module in unique(c("torch", python_modules()))) {
    if (!with_own_symbols(reticulate::py_module_available(module))) {
      return(sprintf("%s has no %s", path, module))
    }
  }
  numpy <- reticulate::import("numpy")$`__version__`
  if (old_reticulate() && package_version(numpy) >= "2") {
    return(sprintf("reticulate < 1.38 needs numpy < 2, %s has %s", path, numpy))
  }
  NULL
}

# In a process of R, the BLAS of R comes before that of torch. With a reference BLAS matrix products
# took ten times as long, and their last digits differed from those in the shell. Deep binding, on
# Linux, makes torch use its own library first.
with_own_symbols <- function(import) {
  os <- reticulate::import("os")
  if (!reticulate::py_has_attr(os, "RTLD_DEEPBIND")) {
    return(import)
  }
  sys <- reticulate::import("sys")
  flags <- sys$getdlopenflags()
  on.exit(sys$setdlopenflags(flags))
  sys$setdlopenflags(bitwOr(flags, os$RTLD_DEEPBIND))
  import
}

# A Python that the user named (RETICULATE_PYTHON, use_virtualenv() ...) wins.
prefer_own_environment <- function() {
  if (reticulate::py_available() || nzchar(Sys.getenv("RETICULATE_PYTHON"))) {
    return(invisible())
  }
  if (reticulate::virtualenv_exists("r-sense")) reticulate::use_virtualenv("r-sense", required = FALSE)
  invisible()
}

# A check of a package must not download another. NOT_CRAN says that it may.
checked_without_python <- function() {
  nzchar(Sys.getenv("_R_CHECK_PACKAGE_NAME_")) && !isTRUE(as.logical(Sys.getenv("NOT_CRAN"))) &&
    reticulate_installs() && !nzchar(Sys.getenv("RETICULATE_PYTHON"))
}

# reticulate would offer to install Miniconda. This package has install_sense(). In a locale without an
# encoding, Python would refuse paths that are not ASCII.
quietly_start_python <- function() {
  withr::local_envvar(RETICULATE_MINICONDA_ENABLED = "FALSE")
  if (!l10n_info()[["UTF-8"]]) {
    withr::local_locale(c(LC_CTYPE = Sys.getlocale("LC_CTYPE"))) # Python changes that of the process
    withr::local_envvar(LC_ALL = "C.UTF-8")
  }
  tryCatch(
    suppressWarnings(reticulate::py_available(initialize = TRUE)),
    error = function(e) FALSE
  )
}

# Call a task of sense.bridge. An error of the user's input becomes an error of `call`, with R's names
# of arguments; an interrupt stays an interrupt; any other error is a fault with Python's traceback.
call_python <- function(task, arguments, call = parent.frame()) {
  arguments <- in_utf8(arguments) # their errors come first, without Python too
  bridge <- sense_bridge(call)
  left <- new.env(parent = emptyenv())
  answer <- tryCatch(
    bridge$call(task, lapply(arguments, noted_exit, left)),
    # Python was interrupted just before or after the task.
    error = function(e) if (is_keyboard_interrupt(e)) list(interrupted = TRUE) else stop(e)
  )
  if (!is.null(left$again)) left$again()
  if (!is.null(answer$input_error)) {
    text <- translate_message(answer$input_error, training = task == "train")
    abort("{text}", call = call, class = c(if (isTRUE(answer$other_data)) "sense_other_data", "sense_python_error"))
  }
  if (isTRUE(answer$interrupted)) pass_interrupt()
  if (!is.null(answer$traceback)) stop(python_fault(answer$traceback, call))
  answer$value
}

# A callback that notes in `left` that a condition handler has left it. An exit through Python is lost, so
# the callback is called again from R: then the handler is reached.
noted_exit <- function(callback, left) {
  if (!is.function(callback)) {
    return(callback)
  }
  function(...) {
    done <- FALSE
    on.exit(if (!done) left$again <- function() callback(...))
    callback(...)
    done <- TRUE
    invisible()
  }
}

# Strings as reticulate passes them on unchanged. In a locale without an encoding, such as C, R knows that
# of no string, and a path such as "L\u00e4ufe" would reach Python with other letters.
in_utf8 <- function(x) {
  if (is.character(x)) {
    unknown <- Encoding(x) == "unknown" & validUTF8(x) & !l10n_info()[["UTF-8"]]
    Encoding(x)[unknown] <- "UTF-8"
  } else if (is.list(x)) {
    x[] <- lapply(x, in_utf8)
  }
  x
}

# A path from Python, for R's functions of files, which in such a locale take bytes only.
native_path <- function(path) {
  if (!l10n_info()[["UTF-8"]]) Encoding(path) <- "unknown"
  path
}

# reticulate gives the class from version 1.29 on, before that only the message.
is_keyboard_interrupt <- function(e) {
  inherits(e, "python.builtin.KeyboardInterrupt") || grepl("^KeyboardInterrupt", conditionMessage(e))
}

# Signal the condition to handlers first. Without a handler the signal stops all, like Ctrl-C.
pass_interrupt <- function() {
  signalCondition(structure(class = c("interrupt", "condition"), list(message = "", call = NULL)))
  tools::pskill(Sys.getpid(), tools::SIGINT)
  Sys.sleep(1)
  invokeRestart("abort")
}

python_fault <- function(traceback, call) {
  lines <- strsplit(trimws(traceback), "\n", fixed = TRUE)[[1]]
  structure(
    class = c("sense_python_fault", "sense_error", "error", "condition"),
    list(
      message = paste0(
        lines[length(lines)],
        "\nThis is a fault of the package or of a package that it uses, not of your input. Python's traceback:\n\n",
        paste(lines, collapse = "\n")
      ),
      call = if (is.environment(call)) sys.call(which_frame(call)) else call
    )
  )
}

which_frame <- function(env) {
  found <- which(vapply(sys.frames(), identical, TRUE, env))
  if (length(found)) found[1] else 0
}
