# R and Python on one run: R trains and stores the folder, the shell evaluates it, and R reads the
# evaluation. Both languages use the same files.
library(sense)

folder <- file.path(tempfile(), "run")
# Small enough for seconds: leave out train_size, batch_size and epochs for a real training.
fit <- train_sense(
  method = "sense", c = 0.7, eps = 0.1, step_size = 0.02, train_size = 1000, batch_size = 25, epochs = 3,
  control = sense_control(out = folder)
)

python <- reticulate::py_config()$python
source <- system.file("python", package = "sense")
system2(
  python, c("-m", "sense.evaluate", folder, "--attacks", "pgd", "--steps", "10", "--n", "100"),
  env = paste0("PYTHONPATH=", source)
)

evaluation <- read_sense_evaluation(folder)
evaluation
accuracies(list(sense = folder))
