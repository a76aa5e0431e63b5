import { exitCodeOf, renderError } from '../../formats/errors.ts';

/** What work is refused with: exit code and message, with `.` for a folder of the test. */
export async function refusalOf(folder: string, work: () => unknown): Promise<string> {
  try {
    await work();
  } catch (error) {
    return `${exitCodeOf(error)}: ${renderError(error).replaceAll(folder, '.')}`;
  }
  return 'nothing was refused';
}
